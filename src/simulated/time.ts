/**
 * Times as Go writes and reads them.
 *
 * @since 0.1.0
 */
import { Result } from "effect"

let lastMillis = -1
let lastText = ""

/**
 * `time.RFC3339Nano` in UTC: as `Date.toISOString`, without trailing zeros.
 *
 * @category encoding
 * @since 0.1.0
 */
export const rfc3339 = (millis: number): string => {
  if (millis !== lastMillis) {
    lastMillis = millis
    lastText = new Date(millis).toISOString().replace(/\.?0*Z$/, "Z")
  }
  return lastText
}

/** The longest Go duration, 292 years, which Ollama takes for "for ever". In milliseconds. */
const forever = 9223372036854

/**
 * When a model that goes idle now expires: "for ever" is 292 years away, as in Go.
 *
 * @category constructors
 * @since 0.1.0
 */
export const expiry = (now: number, session: number): number => now + Math.min(session, forever)

const units: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  "µs": 1e-3,
  "μs": 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}

/**
 * Go's `time.ParseDuration`, in milliseconds; the failure is Go's own text.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parseDuration = (text: string): Result.Result<number, string> => {
  const quoted = JSON.stringify(text)
  const signed = /^([+-]?)(.*)$/s.exec(text)
  const sign = signed?.[1] === "-" ? -1 : 1
  let rest = signed?.[2] ?? ""
  if (rest === "0") return Result.succeed(0)
  if (rest === "") return Result.fail(`time: invalid duration ${quoted}`)
  let total = 0
  while (rest !== "") {
    const part = /^(\d+\.?\d*|\.\d+)([^\d.]*)/.exec(rest)
    if (part === null) return Result.fail(`time: invalid duration ${quoted}`)
    const unit = part[2] ?? ""
    if (unit === "") return Result.fail(`time: missing unit in duration ${quoted}`)
    const scale = units[unit]
    if (scale === undefined) return Result.fail(`time: unknown unit ${JSON.stringify(unit)} in duration ${quoted}`)
    total += Number(part[1]) * scale
    rest = rest.slice(part[0].length)
  }
  return Result.succeed(sign * total)
}

/**
 * Ollama's `keep_alive`: seconds as a number, a Go duration as a string, negative for ever. In milliseconds, `Infinity` for ever.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parseKeepAlive = (value: unknown): Result.Result<number | undefined, string> => {
  if (value === undefined || value === null) return Result.succeed(undefined)
  if (typeof value === "number") return Result.succeed(value < 0 ? Infinity : value * 1000)
  if (typeof value === "string") {
    return Result.map(parseDuration(value), (millis) => millis < 0 ? Infinity : millis)
  }
  return Result.fail(`Unsupported type: '${goType(value)}'`)
}

const goType = (value: unknown): string =>
  typeof value === "boolean" ? "bool" : Array.isArray(value) ? "[]interface {}" : "map[string]interface {}"
