/**
 * Reads `keep_alive` of a body.
 *
 * @since 0.1.0
 */
import { Option, Result } from "effect"
import * as GoDuration from "./goDuration.ts"
import { parse } from "./json.ts"

/**
 * Characters. No real value is longer, and a client must not keep the router busy with one of megabytes. A longer one
 * is refused.
 *
 * @internal
 */
export const lengthMax = 256

/** The value of a JSON string. Nearly all have no escapes. */
const unescaped = (raw: string): unknown => raw.includes("\\") ? Option.getOrUndefined(parse(raw)) : raw.slice(1, -1)

/**
 * Go converts the number of seconds to whole nanoseconds. Where 64 bits cannot hold them, Go does not say what comes
 * out. On x86-64 it is the smallest integer, so Ollama unloads the model at once.
 */
const ofNumber = (number: number): number => {
  if (number < 0) return Infinity
  const nanos = number * 1e9
  return nanos < GoDuration.nanosMax ? Math.trunc(nanos) / 1e9 : NaN
}

/**
 * The seconds that the raw JSON of a `keep_alive` asks for; `Infinity` for ever. `undefined` for a value that Ollama
 * refuses, `NaN` for a number too large for Go: for ever on some machines, and no time at all on others.
 *
 * **Details**
 *
 * As Ollama 0.33 reads it: a number is in seconds, a string is a Go duration, and a negative value means for ever. Time
 * counts in whole nanoseconds, so `1e-10` is 0.
 *
 * @category decoding
 * @since 0.1.0
 */
export const seconds = (raw: string): number | undefined => {
  if (raw[0] !== `"`) {
    const number = Number(raw)
    return Number.isFinite(number) ? ofNumber(number) : undefined
  }
  const text = unescaped(raw)
  const millis = typeof text === "string" ? Result.getSuccess(GoDuration.parse(text)) : Option.none()
  if (Option.isNone(millis)) return undefined
  return millis.value < 0 ? Infinity : millis.value / 1000
}

/**
 * Seconds below which a time counts as none: the model is gone before another request can use it. Ollama before 0.33
 * counted whole seconds, so that `"500ms"` was 0 there.
 */
const shortest = 1

/**
 * Whether a `keep_alive` asks for the model to be unloaded after the request: 0 in any spelling, or less than a second.
 *
 * @category predicates
 * @since 0.1.0
 */
export const unloads = (raw: string): boolean => {
  const wanted = seconds(raw)
  return wanted !== undefined && wanted < shortest
}
