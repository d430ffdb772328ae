/**
 * Decides which requests are traced when they come: the samplers that OpenTelemetry names.
 *
 * @since 0.1.0
 */
import type { TraceContext } from "../../wire/traceContext.ts"
import * as Ids from "./ids.ts"

/** The values of `OTEL_TRACES_SAMPLER` that are known. @internal */
export const names = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio",
] as const

/** @internal */
export type Name = typeof names[number]

/** Decides with the trace of the client, if there is one, and with the random number of the trace. @internal */
export type Sampler = (parent: TraceContext | undefined, number: number) => boolean

/**
 * `ratio` is the share of traces from 0 to 1, for the samplers by ratio. Those that are based on the parent follow the
 * client's decision if it sent one.
 *
 * @internal
 */
export const make = (name: Name, ratio: number): Sampler => {
  const share = name.endsWith("always_on") ? 1 : name.endsWith("always_off") ? 0 : ratio
  // As the specification of OpenTelemetry says: a trace is sampled if its number is at least the threshold.
  const decides = (number: number) => share > 0 && number >= 1 - share
  return name.startsWith("parentbased")
    ? (parent, number) => parent === undefined ? decides(number) : parent.sampled
    : (parent, number) => decides(parent === undefined ? number : Ids.numberOf(parent.traceId))
}
