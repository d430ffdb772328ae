/**
 * Reads the values of `Content-Type` and `Content-Disposition`, in their plain form only.
 *
 * Go, and so Ollama, also takes the extended form of RFC 2231 (`name*=utf-8''model`, `name*0="mo"; name*1="del"`),
 * which says the same thing in other bytes. A value with it is not read at all: a client could otherwise show one name
 * to the router and another one to Ollama.
 *
 * @since 0.1.0
 */

/** A value, the part before the parameters in lower case. @internal */
export interface MediaType {
  readonly type: string
  /** Names in lower case. */
  readonly parameters: ReadonlyMap<string, string>
}

const token = /^[!#$%&'*+\-.^_`|~\w]+$/
/** One parameter, from its name on. A backslash in quotes escapes what follows it. */
const parameter = /([!#$%&'+\-.^_`|~\w]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([!#$%&'*+\-.^_`|~\w]+))/y

/** Go keeps a backslash before a character that needs none: browsers of old send `C:\dir\file`. */
const unescaped = (quoted: string): string => quoted.replace(/\\([()<>@,;:\\"/[\]?=])/g, "$1")

/** The index of the first character at or after `at` that is no blank. */
const afterBlanks = (value: string, at: number): number => {
  while (value[at] === " " || value[at] === "\t") at++
  return at
}

/**
 * Reads a value. `undefined` where it is not in the plain form, or names a parameter twice. The time is linear.
 *
 * @internal
 */
export const parse = (value: string): MediaType | undefined => {
  const semicolon = value.indexOf(";")
  const last = semicolon < 0 ? value.length : semicolon
  let end = last
  while (value[end - 1] === " " || value[end - 1] === "\t") end--
  const type = value.slice(afterBlanks(value, 0), end).toLowerCase()
  if (!type.split("/").every((part) => token.test(part))) return undefined
  const parameters = new Map<string, string>()
  for (let at = last;;) {
    if (at === value.length) return { type, parameters }
    if (value[at] !== ";") return undefined
    at = afterBlanks(value, at + 1)
    // A semicolon at the end is allowed.
    if (at === value.length) return { type, parameters }
    parameter.lastIndex = at
    const found = parameter.exec(value)
    const name = found?.[1]?.toLowerCase()
    if (found === null || name === undefined || parameters.has(name)) return undefined
    parameters.set(name, found[2] === undefined ? found[3]! : unescaped(found[2]))
    at = afterBlanks(value, parameter.lastIndex)
  }
}
