/**
 * The buckets of rate limits in the memory of one process.
 *
 * @since 0.1.0
 */
import { Clock, Context, Duration, Effect, Layer } from "effect"
import { RateLimiter } from "effect/persistence"

interface Bucket {
  tokens: number
  lastRefill: number
  /** When it is full again if nobody takes from it. It is then the same as no bucket. */
  fullAt: number
}

/** Buckets at which the full ones are first looked for. */
const sweepAt = 256

/**
 * As `RateLimiter.layerStoreMemory`, which keeps a bucket for every name for ever. Here a bucket goes when it is full
 * again: a tenant whose limits are for a minute is forgotten a minute after its last request, or later. No bucket goes
 * before, so nobody gets a fresh one by inventing names.
 *
 * `RateLimitGuard` uses token buckets only. Other kinds of limits are those of `RateLimiter.layerStoreMemory`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<RateLimiter.RateLimiterStore> = Layer.effect(
  RateLimiter.RateLimiterStore,
  Effect.gen(function* () {
    const others = Context.get(yield* Layer.build(RateLimiter.layerStoreMemory), RateLimiter.RateLimiterStore)
    const buckets = new Map<string, Bucket>()
    let nextAt = sweepAt

    const sweep = (now: number): void => {
      for (const [key, { fullAt }] of buckets) if (fullAt <= now) buckets.delete(key)
      nextAt = Math.max(sweepAt, 2 * buckets.size)
    }

    return RateLimiter.RateLimiterStore.of({
      ...others,
      tokenBucket: ({ allowOverflow, key, limit, refillRate, tokens }) =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          const refillMillis = Duration.toMillis(refillRate)
          let bucket = buckets.get(key)
          if (bucket === undefined) {
            if (buckets.size >= nextAt) sweep(now)
            buckets.set(key, bucket = { tokens: limit, lastRefill: now, fullAt: now })
          }
          const refilled = Math.max(0, Math.floor((now - bucket.lastRefill) / refillMillis))
          // What was given back may be above the limit until the next token comes, as in Effect's store.
          if (refilled > 0) bucket.tokens = Math.min(limit, bucket.tokens + refilled)
          bucket.lastRefill = bucket.tokens >= limit ? now : bucket.lastRefill + refilled * refillMillis
          const left = bucket.tokens - tokens
          if (allowOverflow || left >= 0) bucket.tokens = left
          bucket.fullAt = bucket.lastRefill + Math.max(0, limit - bucket.tokens) * refillMillis
          return [left, Math.max(0, now - bucket.lastRefill)] as const
        }),
    })
  }),
)
