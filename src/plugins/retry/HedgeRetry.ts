/**
 * Starts a second attempt on another backend when the first byte of the first attempt is late.
 *
 * @since 0.1.0
 */
import type { Hedging, RetryPolicy } from "../../services/Plugin.ts"
import { SweptMap } from "../../support/sweptMap.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** The part of first bytes that must come sooner before an attempt counts as late. Defaults to `0.95`. */
  readonly quantile?: number | undefined
  /** First bytes of a model that must have been seen before its requests are hedged. Defaults to `50`. */
  readonly samplesMin?: number | undefined
  /** First bytes that are remembered for each model, kind and stream mode. Defaults to `200`. */
  readonly samplesMax?: number | undefined
}

/** The last times to first byte of one model, and their quantile. */
class Samples {
  private readonly ring: Float64Array
  private count = 0
  private next = 0
  /** Samples added since the quantile was last computed. */
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

  /** At most a twentieth of the samples are newer than the answer: sorting them for every request is too slow. */
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

const checked = ({ quantile = 0.95, samplesMax = 200, samplesMin = 50 }: Options) => {
  if (!(quantile > 0 && quantile <= 1)) {
    throw new RangeError(`HedgeRetry.make: quantile must be above 0 and at most 1, got ${quantile}`)
  }
  if (!Number.isInteger(samplesMin) || samplesMin < 1) {
    throw new RangeError(`HedgeRetry.make: samplesMin must be a whole number of at least 1, got ${samplesMin}`)
  }
  if (!Number.isInteger(samplesMax) || samplesMax < samplesMin) {
    throw new RangeError(`HedgeRetry.make: samplesMax must be a whole number of at least samplesMin, got ${samplesMax}`)
  }
  return { quantile, samplesMax, samplesMin }
}

/** The quantile of the times to first byte, for each model, kind and stream mode. */
const quantileHedging = (options: Options): Hedging => {
  const { quantile, samplesMax, samplesMin } = checked(options)
  const seen = new SweptMap<Samples>()
  const keyOf: (...of: Parameters<Hedging["after"]>) => string = ({ kind, model }, streams) =>
    `${model.key} ${kind} ${streams}`
  return {
    after: (demand, streams) => seen.get(keyOf(demand, streams))?.at(quantile, samplesMin),
    observed: (demand, streams, firstByteMillis) => {
      const key = keyOf(demand, streams)
      let samples = seen.get(key)
      if (samples === undefined) seen.set(key, samples = new Samples(samplesMax))
      samples.add(firstByteMillis)
    },
  }
}

/**
 * The policy `retry`, with hedging added.
 *
 * **Details**
 *
 * An attempt is late when its first byte has not come after the given quantile of earlier first bytes. Streams are
 * compared with streams and whole answers with whole answers, of the same model and kind of request.
 *
 * A first attempt that lost to its hedge counts with the time that had passed by then. Without that, the slowest
 * samples would be missing, and the quantile would fall with every hedge.
 *
 * Hedges use the budget of `retry`: its `decide` is asked for each of them, and they count as attempts.
 *
 * **Example** (In the standard stack)
 *
 * ```ts
 * import * as Standard from "../../layers/Standard.ts"
 * import * as FailoverRetry from "./FailoverRetry.ts"
 * import * as HedgeRetry from "./HedgeRetry.ts"
 *
 * export const stack = Standard.layer({ retry: HedgeRetry.make(FailoverRetry.make()) })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (retry: RetryPolicy, options?: Options): RetryPolicy => ({
  kind: "retry",
  name: `${retry.name}+hedge`,
  // Called on `retry` and not copied from it: a policy may be an instance of a class, whose methods use `this`.
  seen: (now) => retry.seen(now),
  decide: (failed, now) => retry.decide(failed, now),
  ...(retry.budget === undefined ? {} : { budget: (now: number) => retry.budget!(now) }),
  hedging: quantileHedging(options ?? {}),
})
