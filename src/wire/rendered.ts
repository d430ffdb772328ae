/**
 * Finds the parts of a prompt that end up in the text that a model reads.
 *
 * Ollama renders a prompt with the template of its model, and templates differ: many leave out the thinking of earlier
 * answers, some know no system prompt, no tools and no results of tools. None renders ids, signatures, or fields that
 * are not Ollama's.
 *
 * @since 0.1.0
 */
import type { Endpoint, Span } from "../services/RoutedRequest.ts"
import { fold } from "./fieldNames.ts"
import { closeBracket, openBracket, quote, readString, skipSpace } from "./json.ts"
import { eachField, eachItem } from "./jsonParts.ts"

/** Bytes, quotes included. No key that is looked for is longer. */
const keyMax = 256

/** Calls `take` with the key of each member, as Go folds its case, and the span of its value. */
const eachMember = (bytes: Uint8Array, at: number, take: (key: string, start: number, end: number) => void): void =>
  void eachField(bytes, at, (key, start, end) => {
    const isLong = key.end - key.start > keyMax
    take(isLong ? "" : fold(readString(bytes, key.start, key.end) ?? ""), start, end)
  })

/** @category models @since 0.1.0 */
export interface Rendered {
  /** The texts that every template renders which can serve the request, in the order of the body. */
  readonly always: ReadonlyArray<Span>
  /** Bytes, among those of `Envelope.promptBytes`, that no template renders. */
  readonly neverBytes: number
}

/** What is found while the body is walked. */
class Finder {
  readonly bytes: Uint8Array
  /** The request offers tools. Only a template that knows tools serves it, and such a template knows system prompts. */
  readonly tools: boolean
  readonly always: Array<Span> = []
  neverBytes = 0
  /** Where in `always` the last turn with text begins, and whose it is. */
  private turn = 0
  private role = ""

  constructor(bytes: Uint8Array, tools: boolean) {
    this.bytes = bytes
    this.tools = tools
  }

  text(start: number, end: number): void {
    if (this.bytes[start] === quote && end - start > 2) this.always.push({ start: start + 1, end: end - 1 })
  }

  never(start: number, end: number): void {
    this.neverBytes += end - start
  }

  /**
   * Ends a message. `begun` is the number of texts before it.
   *
   * Ollama joins messages of one role that follow each other. A template that knows only user and assistant skips a
   * message of anybody else, and one without text. Of two turns of one role with such a message between them, it
   * renders the later one only.
   */
  ended(begun: number, role: string): void {
    if (this.always.length > begun) {
      if (role !== this.role) this.turn = begun
      this.role = role
    } else if (!this.tools) {
      this.always.length = this.turn
      this.role = ""
    }
  }
}

const stringAt = (bytes: Uint8Array, start: number, end: number): string =>
  bytes[start] === quote && end - start <= 64 ? readString(bytes, start, end) ?? "" : ""

/**
 * How earlier thinking ends, and how it begins, where clients leave it in the content. Templates render what follows
 * the last end. In JSON, Go writes the angle brackets as escapes.
 */
const thinkingEnd = /(?:<|\\u003c)(?:\/think|channel\|)(?:>|\\u003e)/gi
const thinkingStart = /^(?:\s|\\[nrt])*(?:<|\\u003c)(?:think|\|channel)(?:>|\\u003e)/i
/** One character for each byte. */
const latin1 = new TextDecoder("latin1")

/** An assistant's text without the thinking at its start. */
const answerOf = (bytes: Uint8Array, { end, start }: Span): Span => {
  const text = latin1.decode(bytes.subarray(start, end))
  let from = -1
  for (const found of text.matchAll(thinkingEnd)) from = found.index + found[0].length
  if (from >= 0) return { start: start + from, end }
  return thinkingStart.test(text) ? { start: end, end } : { start, end }
}

/** The part of a list, or the content block: its type, and the values that it may have. */
interface Part {
  type: string
  text: Span | undefined
  content: Span | undefined
}

const partAt = (bytes: Uint8Array, start: number): Part => {
  const part: Part = { type: "", text: undefined, content: undefined }
  eachMember(bytes, start, (key, from, to) => {
    if (key === "type") part.type = stringAt(bytes, from, to)
    else if (key === "text") part.text = { start: from, end: to }
    else if (key === "content") part.content = { start: from, end: to }
  })
  return part
}

const neverTypes = new Set(["thinking", "redacted_thinking", "reasoning", "web_search_call"])

/** The texts of a content: a string, or a list of parts in the form of OpenAI or Anthropic. */
const content = (into: Finder, { end, start }: Span, takes: (span: Span) => void): void => {
  const { bytes } = into
  if (bytes[start] === quote) return takes({ start: start + 1, end: end - 1 })
  eachItem(bytes, start, (from, to) => {
    const { content: inner, text, type } = partAt(bytes, from)
    if (neverTypes.has(type)) return into.never(from, to)
    if (type === "tool_result") {
      if (into.tools && inner !== undefined) content(into, inner, (span) => into.always.push(span))
    } else if ((type === "text" || type === "input_text" || type === "output_text") && text !== undefined) {
      if (bytes[text.start] === quote) takes({ start: text.start + 1, end: text.end - 1 })
    }
  })
}

/** Members of a message that some template renders. */
const messageKeys = new Set([
  ...["role", "content", "images", "tool_calls", "tool_name", "name", "type"],
  ...["arguments", "output", "input", "function_call"],
])

/** One message, or one item of the input of `/v1/responses`. */
const message = (into: Finder, start: number, end: number): void => {
  const { bytes } = into
  const begun = into.always.length
  let role = ""
  let type = ""
  let said: Span | undefined
  let output: Span | undefined
  let neverBytes = 0
  eachMember(bytes, start, (key, from, to) => {
    if (key === "role") role = stringAt(bytes, from, to).toLowerCase()
    else if (key === "type") type = stringAt(bytes, from, to)
    else if (key === "content") said = { start: from, end: to }
    else if (key === "output") output = { start: from, end: to }
    else if (!messageKeys.has(key)) neverBytes += to - from
  })
  if (neverTypes.has(type)) return into.never(start, end)
  into.neverBytes += neverBytes
  const plain = (span: Span): void => void (span.end > span.start && into.always.push(span))
  if (type === "function_call_output") {
    if (into.tools && output !== undefined) content(into, output, plain)
  } else if (said !== undefined) {
    if (role === "user" || (into.tools && (role === "system" || role === "tool"))) content(into, said, plain)
    else if (role === "assistant") content(into, said, (span) => plain(answerOf(bytes, span)))
  }
  // A system prompt is no turn: also a template that does not render it renders what is before it and after it.
  if (role !== "system") into.ended(begun, role)
}

const messages = (into: Finder, start: number): void =>
  void eachItem(into.bytes, start, (from, to) => message(into, from, to))

/** The members of the body, by name; the later one of two counts. */
const fields = (body: Uint8Array): ReadonlyMap<string, Span> => {
  const found = new Map<string, Span>()
  eachMember(body, skipSpace(body, 0), (key, start, end) => void found.set(key, { start, end }))
  return found
}

const isTrue = (bytes: Uint8Array, span: Span | undefined): boolean => span !== undefined && bytes[span.start] === 0x74
const hasText = (bytes: Uint8Array, span: Span | undefined): boolean =>
  span !== undefined && bytes[span.start] === quote && span.end - span.start > 2

/** A prompt that is not a conversation. */
const generation = (into: Finder, found: ReadonlyMap<string, Span>, isNative: boolean): void => {
  const { bytes } = into
  const [prompt, suffix] = [found.get("prompt"), found.get("suffix")]
  const raw = isNative && isTrue(bytes, found.get("raw"))
  // A template of the client's own may render anything, or nothing.
  if (isNative && !raw && hasText(bytes, found.get("template"))) return
  if (prompt !== undefined) into.text(prompt.start, prompt.end)
  if (suffix !== undefined && !raw) into.text(suffix.start, suffix.end)
}

const texts = (into: Finder, span: Span | undefined): void => {
  if (span === undefined) return
  into.text(span.start, span.end)
  eachItem(into.bytes, span.start, (start, end) => into.text(start, end))
}

/**
 * What of a body is rendered. It walks over the whole prompt, so it is for the few requests where that matters.
 *
 * @category scanning
 * @since 0.1.0
 */
export const rendered = (body: Uint8Array, endpoint: Endpoint): Rendered => {
  if (endpoint.kind === "transcribe") return { always: [], neverBytes: 0 }
  const found = fields(body)
  const tools = found.get("tools")
  const offered = tools !== undefined && body[tools.start] === openBracket &&
    body[skipSpace(body, tools.start + 1)] !== closeBracket
  const into = new Finder(body, offered)
  if (endpoint.kind === "embed") {
    texts(into, found.get("input"))
    texts(into, found.get("prompt"))
  } else if (endpoint.kind === "generate") generation(into, found, endpoint.dialect !== "openai")
  else {
    for (const key of ["system", "instructions"]) {
      const span = found.get(key)
      if (offered && span !== undefined) content(into, span, (text) => into.always.push(text))
    }
    const input = endpoint.path === "/v1/responses" ? found.get("input") : found.get("messages")
    if (input !== undefined && body[input.start] === quote) into.text(input.start, input.end)
    else if (input !== undefined) messages(into, input.start)
  }
  return into
}
