/**
 * Reads durations in the form of Go, which Ollama uses: `500ms`, `30s`, `1m30s`. `Duration` of `effect` cannot read it.
 *
 * @since 0.1.0
 */
import { Option, Result } from "effect"

/** Nanoseconds in each unit of Go's `time` package. */
const units: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  "µs": 1e3,
  "μs": 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
}

/** The longest duration of Go, in nanoseconds: 2^63 - 1, as exactly as a number can say it. */
export const nanosMax = 2 ** 63

/** The nanoseconds of `whole.fraction` units. Go cuts the fraction of each part to whole nanoseconds. */
const nanosOf = (whole: string, fraction: string, unit: number): number =>
  Number(whole) * unit + (fraction === "" ? 0 : Math.trunc(Number(fraction) * (unit / 10 ** fraction.length)))

/**
 * Go's `time.ParseDuration` (https://pkg.go.dev/time#ParseDuration), in milliseconds. The failure is Go's own text.
 *
 * **Details**
 *
 * The result is a whole number of nanoseconds, as in Go: `0.9ns` is 0, and so is `-0.9ns`.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse = (text: string): Result.Result<number, string> => {
  const quoted = JSON.stringify(text)
  const signed = /^([+-]?)(.*)$/s.exec(text)
  const sign = signed?.[1] === "-" ? -1 : 1
  const rest = signed?.[2] ?? ""
  if (rest === "0") return Result.succeed(0)
  if (rest === "") return Result.fail(`time: invalid duration ${quoted}`)
  const part = /(?:(\d+)(?:\.(\d*))?|\.(\d+))([^\d.]*)/y
  let total = 0
  while (part.lastIndex < rest.length) {
    const found = part.exec(rest)
    if (found === null) return Result.fail(`time: invalid duration ${quoted}`)
    const unit = found[4] ?? ""
    if (unit === "") return Result.fail(`time: missing unit in duration ${quoted}`)
    const scale = units[unit]
    if (scale === undefined) return Result.fail(`time: unknown unit ${JSON.stringify(unit)} in duration ${quoted}`)
    total += nanosOf(found[1] ?? "", found[2] ?? found[3] ?? "", scale)
  }
  return total <= nanosMax ? Result.succeed(sign * total / 1e6) : Result.fail(`time: invalid duration ${quoted}`)
}

/** The units of `effect`'s durations in Go's form. */
const asGo = (text: string): string =>
  text.toLowerCase()
    .replace(/\s*(milliseconds?|millis?)\b/g, "ms").replace(/\s*seconds?\b/g, "s")
    .replace(/\s*minutes?\b/g, "m").replace(/\s*hours?\b/g, "h").replace(/\s+/g, "")

/**
 * A duration that a person wrote, in whole milliseconds: in Go's form (`1m30s`) or in Effect's (`30 seconds`).
 * `undefined` for a text that cannot be read and for a duration that is not above zero.
 *
 * @category decoding
 * @since 0.1.0
 */
export const millis = (text: string): number | undefined => {
  const rounded = Math.round(Option.getOrElse(Result.getSuccess(parse(asGo(text))), () => 0))
  return rounded > 0 ? rounded : undefined
}

/** As `millis`, but a number without a unit is in seconds: `30`, `0.5`, `0`. @category decoding @since 0.1.0 */
export const millisOrSeconds = (text: string): number | undefined =>
  /^\d+(\.\d+)?$/.test(text) ? Math.round(Number(text) * 1000) : millis(text)
