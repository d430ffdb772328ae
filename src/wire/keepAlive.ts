/**
 * Reads `keep_alive` of a body.
 *
 * @since 0.1.0
 */
import { Option, Result } from "effect"
import * as GoDuration from "./goDuration.ts"
import { parse } from "./json.ts"

/** Characters. No real value is longer, and a client must not keep the router busy with one of megabytes. */
const lengthMax = 256

/** The value of a JSON string. Nearly all have no escapes. */
const unescaped = (raw: string): unknown => raw.includes("\\") ? Option.getOrUndefined(parse(raw)) : raw.slice(1, -1)

/** Ollama counts whole nanoseconds, and a negative time means for ever. */
const wholeNanos = (nanos: number): number => nanos < 0 ? Infinity : Math.trunc(nanos) / 1e9

/**
 * The seconds that the raw JSON of a `keep_alive` asks for; `Infinity` for ever. `undefined` for a value that Ollama
 * refuses.
 *
 * **Details**
 *
 * As Ollama 0.33 reads it: a number is in seconds, a string is a Go duration, and a negative value means for ever. A
 * value of more than 256 characters counts as for ever.
 *
 * @category decoding
 * @since 0.1.0
 */
export const seconds = (raw: string): number | undefined => {
  if (raw.length > lengthMax) return Infinity
  if (raw[0] !== `"`) {
    const number = Number(raw)
    return Number.isFinite(number) ? wholeNanos(number * 1e9) : undefined
  }
  const text = unescaped(raw)
  const millis = typeof text === "string" ? Result.getSuccess(GoDuration.parse(text)) : Option.none()
  return Option.isSome(millis) ? wholeNanos(millis.value * 1e6) : undefined
}
