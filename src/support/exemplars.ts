/**
 * Exemplars: for each bucket of a histogram, a request that fell into it.
 *
 * @since 0.1.0
 */
import { Context, Metric } from "effect"
import type { Trace } from "../services/Trace.ts"

/** A request that a histogram has counted. @category models @since 0.1.0 */
export interface Exemplar {
  value: number
  /** Milliseconds since the epoch. */
  at: number
  requestId: string
  /** `undefined` where its trace was not chosen, so that nobody has it. */
  traceId: string | undefined
}

/** A trace that is not chosen has no id yet, and to make one takes time. */
const idOf = (trace: Trace | undefined): string | undefined => trace?.sampled === true ? trace.traceId : undefined

/** Milliseconds that a bucket keeps its exemplar: to replace it for each request would cost more than to count. */
const keptMillis = 1000

/** The exemplars of one series, by the index of the bucket. @category models @since 0.1.0 */
export class Exemplars {
  private readonly boundaries: ReadonlyArray<number>
  private readonly buckets: Array<Exemplar | undefined>

  /** `boundaries` of the histogram, in ascending order. */
  constructor(boundaries: ReadonlyArray<number>) {
    this.boundaries = boundaries
    this.buckets = new Array(boundaries.length + 1).fill(undefined)
  }

  note(value: number, at: number, requestId: string, trace: Trace | undefined): void {
    let bucket = 0
    while (bucket < this.boundaries.length && value > this.boundaries[bucket]!) bucket++
    const known = this.buckets[bucket]
    if (known === undefined) {
      this.buckets[bucket] = { value, at, requestId, traceId: idOf(trace) }
    } else if (at - known.at >= keptMillis) {
      known.value = value
      known.at = at
      known.requestId = requestId
      known.traceId = idOf(trace)
    }
  }

  /** The exemplar of the bucket with this upper boundary; `Infinity` for the last one. */
  of(boundary: number): Exemplar | undefined {
    return this.buckets[boundary === Infinity ? this.boundaries.length : this.boundaries.indexOf(boundary)]
  }
}

/** A registry of Effect has no place for exemplars. They go with it. */
const byRegistry = new WeakMap<object, Map<string, Exemplars>>()

/** The exemplars of a context's `MetricRegistry`, by `keyOf`. @category accessors @since 0.1.0 */
export const inRegistry = (context: Context.Context<never>): Map<string, Exemplars> => {
  const registry = Context.get(context, Metric.MetricRegistry)
  let known = byRegistry.get(registry)
  if (known === undefined) byRegistry.set(registry, known = new Map())
  return known
}

/** The key of a series. @category accessors @since 0.1.0 */
export const keyOf = (name: string, labels: Readonly<Record<string, string>> | undefined): string =>
  [name, ...Object.entries(labels ?? {}).flat()].join("\u0000")
