/**
 * The headers `traceparent` and `tracestate` of W3C Trace Context. A `traceparent` that breaks a rule is ignored, and
 * `tracestate` with it, as the standard demands.
 *
 * @since 0.1.0
 */

/** What a client says about its trace. @category models @since 0.1.0 */
export interface TraceContext {
  /** 32 hexadecimal digits in lower case, not all 0. */
  readonly traceId: string
  /** The client's span: 16 hexadecimal digits in lower case, not all 0. */
  readonly spanId: string
  readonly sampled: boolean
  /** The bit by which the trace id says that its last 14 digits are random. */
  readonly random: boolean
}

const parent = /^([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(-.*)?$/
const noTrace = "0".repeat(32)
const noSpan = "0".repeat(16)

const key = /^(?:[a-z\d][\w*/-]{0,255}|[a-z\d][\w*/-]{0,240}@[a-z\d][\w*/-]{0,13})$/
const value = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/
const membersMax = 32

/** All values of a header, in order. */
const valuesOf = (raw: ReadonlyArray<string>, name: string): ReadonlyArray<string> =>
  raw.flatMap((text, i) => i % 2 === 1 && isNamed(raw[i - 1]!, name) ? [text] : [])

const isNamed = (given: string, lowerCase: string): boolean =>
  given.length === lowerCase.length && given.toLowerCase() === lowerCase

/**
 * The list of a `tracestate`, which may come in several headers. `undefined` where it is empty or breaks a rule. It
 * means nothing without a valid `traceparent`.
 *
 * @category reading
 * @since 0.1.0
 */
export const state = (raw: ReadonlyArray<string>): string | undefined => {
  const members = valuesOf(raw, "tracestate").flatMap((list) => list.split(",")).map((member) => member.trim())
    .filter((member) => member !== "")
  if (members.length === 0 || members.length > membersMax) return undefined
  const keys = members.map((member) => member.slice(0, Math.max(0, member.indexOf("="))))
  const isValid = members.every((member, i) =>
    // `\w` has capital letters, too, which keys must not have.
    key.test(keys[i]!) && keys[i] === keys[i]!.toLowerCase() && value.test(member.slice(keys[i]!.length + 1))
  )
  return isValid && new Set(keys).size === keys.length ? members.join() : undefined
}

/**
 * The trace context in a list of names and values in turn. `undefined` where there is no `traceparent`, where there
 * are several, or where it is not valid: `version-traceid-parentid-flags` in lower-case hexadecimal digits. A version
 * above `00` may have more behind the flags. Version `ff` and ids of zeros only are not valid.
 *
 * @category reading
 * @since 0.1.0
 */
export const read = (raw: ReadonlyArray<string>): TraceContext | undefined => {
  let text: string | undefined
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (!isNamed(raw[i]!, "traceparent")) continue
    if (text !== undefined) return undefined
    text = raw[i + 1]!
  }
  if (text === undefined) return undefined
  const [, version, traceId = noTrace, spanId = noSpan, digits = "", more] = parent.exec(text.trim()) ?? []
  if (version === undefined || version === "ff" || (version === "00" && more !== undefined)) return undefined
  if (traceId === noTrace || spanId === noSpan) return undefined
  const flags = Number.parseInt(digits, 16)
  return { traceId, spanId, sampled: (flags & 1) === 1, random: (flags & 2) === 2 }
}

/** A `traceparent` of version `00` that says "sampled". @category writing @since 0.1.0 */
export const traceparent = (traceId: string, spanId: string, random: boolean): string =>
  `00-${traceId}-${spanId}-0${random ? 3 : 1}`

/**
 * Puts a context in the place of the one in a list of names and values. Changes the list.
 *
 * @category writing
 * @since 0.1.0
 */
export const replace = (headers: Array<string>, traceparent: string, state: string | undefined): void => {
  let length = 0
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i]!
    if (isNamed(name, "traceparent") || isNamed(name, "tracestate")) continue
    headers[length++] = name
    headers[length++] = headers[i + 1]!
  }
  headers.length = length
  headers.push("traceparent", traceparent)
  if (state !== undefined) headers.push("tracestate", state)
}
