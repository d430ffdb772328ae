/**
 * Reads the envelope of a request from its bytes: some top-level keys, in any letter case, and some keys of `options`.
 * All other values are skipped over, never parsed.
 *
 * @since 0.1.0
 */
import { type Refusal, refuse } from "../services/Refusal.ts"
import type { Endpoint, Envelope, Span } from "../services/RoutedRequest.ts"
import * as Keys from "./fieldNames.ts"
import { invalidByte, requestType, typeError } from "./goErrors.ts"
import {
  closeBrace,
  closeBracket,
  kindAt,
  openBrace,
  openBracket,
  quote,
  readString,
  shortText,
  skipSpace,
  valueEnd,
} from "./json.ts"
import { type Draft, draft } from "./draft.ts"
import * as KeepAlive from "./keepAlive.ts"
import { scanMultipart } from "./multipart.ts"

/** The key without which there is nothing to generate. */
const mainKey = (endpoint: Endpoint): number =>
  endpoint.path === "/v1/responses" || (endpoint.kind === "embed" && endpoint.path !== "/api/embeddings")
    ? Keys.input
    : endpoint.kind === "chat"
    ? Keys.messages
    : Keys.prompt

/**
 * The top-level keys that are read. Ollama's `/v1` ignores `options`, `keep_alive` and `shift`, so they are not read
 * there. Instead `/v1` has `temperature`, `seed` and `truncation` at the top. Embedding calls have no `stream` and no
 * `shift`.
 */
const keysOf = (endpoint: Endpoint): number => {
  const all = endpoint.dialect === "native" || endpoint.dialect === "generate-v1"
    ? Keys.all
    : Keys.all & ~(Keys.options | Keys.keepAlive | Keys.shift) | Keys.sampling | Keys.truncation
  return endpoint.kind === "embed" ? all & ~(Keys.stream | Keys.shift) : all
}

/** Reads one value into the draft. Returns what is wrong with it; the empty string when nothing is. */
type Take = (into: Draft, bytes: Uint8Array, key: number, start: number, end: number, endpoint: Endpoint) => string

/** Gives each wanted member of the object whose brace is at `at` to `take`. Returns what is wrong, as `Take` does. */
const walk = (
  into: Draft,
  bytes: Uint8Array,
  at: number,
  wanted: number,
  endpoint: Endpoint,
  take: Take,
): string => {
  let seen = 0
  at = skipSpace(bytes, at + 1)
  if (bytes[at] === closeBrace) return ""
  for (;;) {
    if (bytes[at] !== quote) return invalidByte(bytes, at, "looking for beginning of object key string")
    const keyEnd = valueEnd(bytes, at)
    if (keyEnd < 0) return invalidByte(bytes, keyEnd)
    const key = (take === takeOption ? Keys.findOption : Keys.find)(bytes, at, keyEnd) & wanted
    if ((seen & key) !== 0) return `duplicate key ${JSON.stringify(Keys.nameOf(key))}`
    seen |= key
    at = skipSpace(bytes, keyEnd)
    if (bytes[at] !== 0x3a) return invalidByte(bytes, at, "after object key")
    const start = skipSpace(bytes, at + 1)
    const imageBytes = into.imageBytes
    const end = valueEnd(bytes, start, into)
    if (end < 0) return invalidByte(bytes, end)
    // Images inside the value have been counted already; they are not text of the prompt.
    if ((key & Keys.prompts) !== 0) into.promptBytes -= into.imageBytes - imageBytes
    if (key !== 0) {
      const wrong = take(into, bytes, key, start, end, endpoint)
      if (wrong !== "") return wrong
    }
    at = skipSpace(bytes, end)
    if (bytes[at] === closeBrace) return ""
    if (bytes[at] !== 0x2c) return invalidByte(bytes, at, "after object key:value pair")
    at = skipSpace(bytes, at + 1)
  }
}

/** Go reads `null` as absent. Its span is kept nevertheless: a rewrite must replace it and not add the key again. */
const isNull = (bytes: Uint8Array, start: number) => bytes[start] === 0x6e

const isTrue = (bytes: Uint8Array, start: number) => bytes[start] === 0x74

const takeSampling: Take = (into, bytes, key, start, end) => {
  if (isNull(bytes, start)) return ""
  // A value that is not a number is left for Ollama to refuse.
  if (key === Keys.seed || Number(shortText(bytes, start, end)) === 0) into.deterministic = true
  return ""
}

const takeRunnerOption: Take = (into, bytes, key, start, end) => {
  if (!isNull(bytes, start)) into.runnerOptions = [...into.runnerOptions, { name: Keys.nameOf(key), start, end }]
  return ""
}

const takeOption: Take = (into, bytes, key, start, end, endpoint) => {
  if ((key & Keys.runner) !== 0) return takeRunnerOption(into, bytes, key, start, end, endpoint)
  if (key !== Keys.numCtx) return takeSampling(into, bytes, key, start, end, endpoint)
  into.numCtxSpan = { start, end }
  if (isNull(bytes, start)) return ""
  const number = Number(shortText(bytes, start, end))
  // Refused here because Ollama answers it with a 500, which would count against the backend.
  if (kindAt(bytes, start) !== "number" || !Number.isFinite(number)) return `option "num_ctx" must be of type integer`
  into.numCtx = Math.trunc(number)
  return ""
}

const isEmpty = (bytes: Uint8Array, start: number, end: number): boolean =>
  bytes[start] === quote
    ? end - start === 2
    : bytes[start] === openBracket && bytes[skipSpace(bytes, start + 1)] === closeBracket

const takeMember: Take = (into, bytes, key, start, end, endpoint) => {
  switch (key) {
    case Keys.model: {
      into.modelSpan = { start, end }
      if (isNull(bytes, start)) return ""
      if (bytes[start] !== quote) return typeError(endpoint, "model", kindAt(bytes, start), "string")
      const model = readString(bytes, start, end)
      if (model === undefined) return "invalid character in string literal"
      into.model = model
      return ""
    }
    case Keys.stream:
      into.streamSpan = { start, end }
      if (isNull(bytes, start)) return ""
      if (bytes[start] !== 0x74 && bytes[start] !== 0x66) {
        return typeError(endpoint, "stream", kindAt(bytes, start), "bool")
      }
      into.stream = bytes[start] === 0x74
      return ""
    case Keys.keepAlive:
      into.keepAliveSpan = { start, end }
      if (end - start > KeepAlive.lengthMax) return "keep_alive is too long"
      if (!isNull(bytes, start)) into.keepAlive = shortText(bytes, start, end)
      return ""
    case Keys.options:
      if (isNull(bytes, start)) return ""
      if (bytes[start] !== openBrace) {
        return typeError(endpoint, "options", kindAt(bytes, start), "map[string]interface {}")
      }
      return walk(into, bytes, start, Keys.numCtx | Keys.sampling | (Keys.runner & ~Keys.shift), endpoint, takeOption)
    case Keys.shift:
      return takeRunnerOption(into, bytes, key, start, end, endpoint)
    case Keys.truncate:
      into.cuts ||= isTrue(bytes, start)
      return ""
    case Keys.truncation:
      into.cuts ||= shortText(bytes, start, end) === `"auto"`
      return ""
    case Keys.temperature:
    case Keys.seed:
      return takeSampling(into, bytes, key, start, end, endpoint)
    default:
      if (isNull(bytes, start)) return ""
      into.promptBytes += end - start
      if (key === mainKey(endpoint) && !isEmpty(bytes, start, end)) into.emptyPrompt = false
      return ""
  }
}

/**
 * Reads the envelope of a body. A body that cannot be read gives a refusal with status 400.
 *
 * **Details**
 *
 * Keys match in any letter case, as they do in Ollama, but those of `options` match exactly. A key that is read here
 * may come only once: otherwise a client could pass an allow-list with one model and run another. Bytes after the first
 * JSON value are ignored, and only the structure of what comes before is checked. From a form (`multipart/form-data`)
 * the field `model` is read.
 *
 * @category scanning
 * @since 0.1.0
 */
export const scan = (body: Uint8Array, endpoint: Endpoint, contentType?: string): Envelope | Refusal => {
  if (endpoint.kind === "transcribe") return scanMultipart(draft(), body, contentType ?? "")
  const at = skipSpace(body, 0)
  const into = draft()
  const wrong = at === body.length
    ? "missing request body"
    : body[at] === openBrace
    ? walk(into, body, at, keysOf(endpoint), endpoint, takeMember)
    : notAnObject(body, at, endpoint)
  return wrong === "" ? into : refuse("BadRequest", wrong)
}

const notAnObject = (body: Uint8Array, at: number, endpoint: Endpoint): string => {
  const end = valueEnd(body, at)
  if (end < 0) return invalidByte(body, end)
  const kind = kindAt(body, at)
  return kind === "null" ? "" : `json: cannot unmarshal ${kind} into Go value of type ${requestType(endpoint)}`
}

/**
 * The span of the value of `options`; `undefined` when the body has none. A rewrite needs it to add an option.
 *
 * @category scanning
 * @since 0.1.0
 */
export const optionsSpan = (body: Uint8Array, endpoint: Endpoint): Span | undefined => {
  let found: Span | undefined
  const at = skipSpace(body, 0)
  if (body[at] !== openBrace) return found
  walk(draft(), body, at, Keys.options, endpoint, (_into, _bytes, _key, start, end) => {
    found = { start, end }
    return ""
  })
  return found
}
