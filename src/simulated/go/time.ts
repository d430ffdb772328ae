/**
 * Times as Go writes and reads them.
 *
 * @since 0.1.0
 */
import { Result } from "effect"
import * as GoDuration from "../../wire/goDuration.ts"

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

/** The longest Go duration in milliseconds: 292 years, which Ollama uses for "for ever". */
const forever = 9223372036854

/**
 * When a model that becomes idle now expires, in milliseconds since 1970. "For ever" is 292 years away, as in Go.
 *
 * @category constructors
 * @since 0.1.0
 */
export const expiry = (now: number, session: number): number => now + Math.min(session, forever)

/**
 * Ollama's `keep_alive` in milliseconds: a number is seconds, a string is a Go duration, a negative value is
 * `Infinity`. Only whole nanoseconds count.
 *
 * A number of seconds that 64 bits cannot hold in nanoseconds becomes the smallest integer, as on x86-64: the model is
 * unloaded as soon as it is idle.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parseKeepAlive = (value: unknown): Result.Result<number | undefined, string> => {
  if (value === undefined || value === null) return Result.succeed(undefined)
  if (typeof value === "number") {
    const nanos = value * 1e9
    return Result.succeed(value < 0 ? Infinity : nanos < GoDuration.nanosMax ? Math.trunc(nanos) / 1e6 : -forever)
  }
  if (typeof value === "string") {
    return Result.map(GoDuration.parse(value), (millis) => millis < 0 ? Infinity : millis)
  }
  return Result.fail(`Unsupported type: '${goType(value)}'`)
}

const goType = (value: unknown): string =>
  typeof value === "boolean" ? "bool" : Array.isArray(value) ? "[]interface {}" : "map[string]interface {}"
