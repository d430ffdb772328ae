/**
 * Reads durations in the form of Go, which Ollama uses: `500ms`, `30s`, `1m30s`. `Duration` of `effect` cannot read it.
 *
 * @since 0.1.0
 */
import { Option, Result } from "effect"

/** Milliseconds in each unit of Go's `time` package. */
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

/** The longest duration of Go, in milliseconds: 2^63 - 1 ns, as exactly as a number can say it. */
const longest = 2 ** 63 / 1e6

/**
 * Go's `time.ParseDuration` (https://pkg.go.dev/time#ParseDuration), in milliseconds. The failure is Go's own text.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse = (text: string): Result.Result<number, string> => {
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
  return total <= longest ? Result.succeed(sign * total) : Result.fail(`time: invalid duration ${quoted}`)
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
