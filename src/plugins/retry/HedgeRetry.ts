/**
 * Makes a second attempt beside one that is slower than nearly all before it.
 *
 * @since 0.1.0
 */
import type { Hedging, RetryPolicy } from "../../services/Plugin.ts"

/** The last first bytes of one model, and their quantile. */
class Samples {
  private readonly ring: Float64Array
  private count = 0
  private next = 0
  /** Since the quantile was last computed. */
  private fresh = 0
  private quantile: number | undefined = undefined

  constructor(size: number) {
    this.ring = new Float64Array(size)
  }

  add(millis: number): void {
    this.ring[this.next] = millis
    this.next = (this.next + 1) % this.ring.length
    this.count = Math.min(this.count + 1, this.ring.length)
    this.fresh++
  }

  /** As it was at most a twentieth of the samples ago: sorting them for each request would cost more than it tells. */
  at(quantile: number, samplesMin: number): number | undefined {
    if (this.count < samplesMin) return undefined
    if (this.quantile === undefined || this.fresh >= this.count / 20) {
      const sorted = this.ring.slice(0, this.count).sort()
      this.quantile = sorted[Math.min(this.count - 1, Math.ceil(quantile * this.count) - 1)]
      this.fresh = 0
    }
    return this.quantile
  }
}

/**
 * **Details**
 *
 * Streams are compared with streams and whole answers with whole answers, of the same model and kind. A first attempt that lost to its hedge counts with the
 * time it had taken by then: were it left out, the quantile would sink with every hedge. Hedges spend the budget of `retry`, and count as its attempts.
 *
 * **Example** (In the standard stack)
 *
 * ```ts
 * import * as PipelineRouter from "../../layers/router/PipelineRouter.ts"
 * import * as Standard from "../../layers/Standard.ts"
 * import * as FailoverRetry from "./FailoverRetry.ts"
 * import * as HedgeRetry from "./HedgeRetry.ts"
 *
 * export const stack = Standard.layer({ router: PipelineRouter.layer({ retry: HedgeRetry.make(FailoverRetry.make()) }) })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (retry: RetryPolicy, options?: {
  /** The part of first bytes that come sooner. Defaults to `0.95`. */
  readonly quantile?: number | undefined
  /** First bytes to be seen before anything is hedged. Defaults to `50`. */
  readonly samplesMin?: number | undefined
  /** First bytes that are remembered, of each model and kind. Defaults to `200`. */
  readonly samplesMax?: number | undefined
}): RetryPolicy => {
  const quantile = options?.quantile ?? 0.95
  const samplesMin = options?.samplesMin ?? 50
  const samplesMax = options?.samplesMax ?? 200
  if (!(quantile > 0 && quantile <= 1)) {
    throw new RangeError(`HedgeRetry.make: quantile must be above 0 and at most 1, got ${quantile}`)
  }
  if (!Number.isInteger(samplesMin) || samplesMin < 1) {
    throw new RangeError(`HedgeRetry.make: samplesMin must be a whole number of at least 1, got ${samplesMin}`)
  }
  if (!Number.isInteger(samplesMax) || samplesMax < samplesMin) {
    throw new RangeError(`HedgeRetry.make: samplesMax must be a whole number of at least samplesMin, got ${samplesMax}`)
  }
  const seen = new Map<string, Samples>()
  const keyOf: (...of: Parameters<Hedging["after"]>) => string = ({ kind, model }, streams) =>
    `${model.key} ${kind} ${streams}`
  return {
    ...retry,
    name: `${retry.name}+hedge`,
    hedging: {
      after: (demand, streams) => seen.get(keyOf(demand, streams))?.at(quantile, samplesMin),
      observed: (demand, streams, firstByteMillis) => {
        const key = keyOf(demand, streams)
        let samples = seen.get(key)
        if (samples === undefined) seen.set(key, samples = new Samples(samplesMax))
        samples.add(firstByteMillis)
      },
    },
  }
}
