/**
 * JSON as Go's `encoding/json` reads it: anything after the first value is ignored, and the error texts are Go's.
 * `JSON.parse` has other error texts, and clients see Ollama's.
 *
 * @since 0.1.0
 */
import { Result } from "effect"

/** A value, or Go's error text. */
type Parsed = Result.Result<unknown, string>

/** Go's own limit is 10,000. Nobody nests so deep, and this stack is smaller. */
const depthMax = 1000

class Reader {
  readonly text: string
  at = 0
  depth = 0
  problem: string | undefined = undefined

  constructor(text: string) {
    this.text = text
  }

  space(): void {
    while (this.at < this.text.length) {
      const code = this.text.charCodeAt(this.at)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return
      this.at++
    }
  }

  fail(context: string): undefined {
    this.problem ??= this.at >= this.text.length
      ? "unexpected EOF"
      : `invalid character ${quote(this.text[this.at] ?? "")} ${context}`
    return undefined
  }

  past<A>(made: A): A {
    this.at++
    return made
  }

  value(): unknown {
    this.space()
    const char = this.text[this.at]
    if (char === "{") return this.nested(() => this.object())
    if (char === "[") return this.nested(() => this.array())
    if (char === '"') return this.string()
    if (char === "t") return this.word("true", true)
    if (char === "f") return this.word("false", false)
    if (char === "n") return this.word("null", null)
    if (char !== undefined && /[-\d]/.test(char)) return this.number()
    return this.fail("looking for beginning of value")
  }

  nested<A>(read: () => A): A | undefined {
    if (++this.depth > depthMax) return this.fail("exceeded max depth")
    const made = read()
    this.depth--
    return made
  }

  object(): unknown {
    const made: Record<string, unknown> = {}
    this.at++
    this.space()
    if (this.text[this.at] === "}") return this.past(made)
    while (true) {
      this.space()
      if (this.text[this.at] !== '"') return this.fail("looking for beginning of object key string")
      const key = this.string()
      if (this.problem !== undefined) return
      this.space()
      if (this.text[this.at] !== ":") return this.fail("after object key")
      this.at++
      const value = this.value()
      if (this.problem !== undefined) return
      // In the struct of a request, a later `null` does not take away what an earlier field of the name gave.
      if (!(value === null && this.depth === 1 && Object.hasOwn(made, key as string))) {
        // The last field of a name counts. Its place is kept, because keys in another case may name the same field.
        delete made[key as string]
        Object.defineProperty(made, key as string, { value, enumerable: true, writable: true, configurable: true })
      }
      this.space()
      const next = this.text[this.at]
      if (next !== "," && next !== "}") return this.fail("after object key:value pair")
      this.at++
      if (next === "}") return made
    }
  }

  array(): unknown {
    const made: Array<unknown> = []
    this.at++
    this.space()
    if (this.text[this.at] === "]") return this.past(made)
    while (true) {
      made.push(this.value())
      if (this.problem !== undefined) return
      this.space()
      const next = this.text[this.at]
      if (next !== "," && next !== "]") return this.fail("after array element")
      this.at++
      if (next === "]") return made
    }
  }

  string(): string | undefined {
    let made = ""
    this.at++
    while (true) {
      const from = this.at
      while (this.at < this.text.length) {
        const code = this.text.charCodeAt(this.at)
        if (code === 0x22 || code === 0x5c || code < 0x20) break
        this.at++
      }
      made += this.text.slice(from, this.at)
      const char = this.text[this.at]
      // Half a surrogate pair is replaced.
      if (char === '"') return this.past(made.toWellFormed())
      if (char !== "\\") return this.fail("in string literal")
      const escape = this.text[++this.at]
      const simple = escape === undefined ? undefined : escapes[escape]
      if (simple !== undefined) made += simple
      else if (escape !== "u") return this.fail("in string escape code")
      else {
        for (let digit = 1; digit <= 4; digit++) {
          this.at++
          if (!/[\da-fA-F]/.test(this.text[this.at] ?? "")) return this.fail("in \\u hexadecimal character escape")
        }
        made += String.fromCharCode(parseInt(this.text.slice(this.at - 3, this.at + 1), 16))
      }
      this.at++
    }
  }

  word(word: string, value: unknown): unknown {
    for (let index = 1; index < word.length; index++) {
      this.at++
      if (this.text[this.at] !== word[index]) return this.fail(`in literal ${word} (expecting '${word[index]}')`)
    }
    this.at++
    return value
  }

  number(): unknown {
    const match = /-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y
    match.lastIndex = this.at
    const found = match.exec(this.text)
    if (found === null) {
      this.at++
      return this.fail("in numeric literal")
    }
    this.at = match.lastIndex
    if (this.text[this.at] === ".") {
      this.at++
      return this.fail("after decimal point in numeric literal")
    }
    return Number(found[0])
  }
}

const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
}

const quote = (char: string): string =>
  char === "'" ? `'\\''` : char === '"' ? `'"'` : `'${JSON.stringify(char).slice(1, -1)}'`

/**
 * The first JSON value of a text.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse = (text: string): Parsed => {
  const reader = new Reader(text)
  reader.space()
  if (reader.at >= text.length) return Result.fail("EOF")
  const value = reader.value()
  return reader.problem === undefined ? Result.succeed(value) : Result.fail(reader.problem)
}
