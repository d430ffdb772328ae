/**
 * Token buckets for a minute, kept in the store of Effect's `RateLimiter`.
 *
 * @since 0.1.0
 */
import { Duration, Effect } from "effect"
import { RateLimiter } from "effect/persistence"
import { type Refusal, refuse } from "../../../services/Refusal.ts"

/** What a bucket counts. The name is part of header names. @internal */
export type Unit = "Requests" | "Tokens"

/** The refusal of a request above a limit. @internal */
export const tooMany = (what: string, limit: number, retryAfter: number, headers?: ReadonlyArray<string>): Refusal =>
  refuse("RateLimited", `rate limit reached: ${limit} ${what}`, { retryAfter, headers })

/** Longest wait for the store. A guard has 5 seconds for its whole check. */
const storeLimit = Duration.seconds(2)

const storeDown = refuse("Internal", "the rate limits cannot be checked, please try again", {
  status: 503,
  retryAfter: 1,
})

/**
 * Headers with OpenAI's names. In an answer `reset` is the time until the bucket is full; in a refusal it is the time
 * until a retry may succeed.
 */
const headersOf = (unit: Unit, limit: number, remaining: number, reset: Duration.Duration): ReadonlyArray<string> => [
  `X-RateLimit-Limit-${unit}`,
  String(limit),
  `X-RateLimit-Remaining-${unit}`,
  String(Math.max(0, Math.floor(remaining))),
  `X-RateLimit-Reset-${unit}`,
  `${Math.ceil(Duration.toSeconds(reset))}s`,
]

/** @internal */
export interface Buckets {
  /** Takes an amount now. The result is the headers for the answer, or a refusal. */
  readonly take: (
    name: string,
    amount: number,
    limit: number,
    unit: Unit,
  ) => Effect.Effect<ReadonlyArray<string> | Refusal>
  /** Takes an amount even if the bucket is empty; gives it back where it is negative. In the background. */
  readonly correct: (name: string, amount: number, limit: number, unit: Unit) => void
}

/** `fails` says what `take` does while the store does not answer: `open` lets requests pass. @internal */
export const make = Effect.fnUntraced(function* (
  fails: "closed" | "open",
): Effect.fn.Return<Buckets, never, RateLimiter.RateLimiter> {
  const limiter = yield* RateLimiter.RateLimiter
  const fork = Effect.runForkWith(yield* Effect.context<never>())

  /** An outage of the store is logged once, when it begins. */
  let isDown = false
  const logDown = (reason: unknown): Effect.Effect<void> => {
    if (isDown) return Effect.void
    isDown = true
    return Effect.logWarning("the store of rate limits does not answer", reason)
  }

  const bucket = (name: string, amount: number, limit: number, unit: Unit) =>
    ({
      algorithm: "token-bucket",
      window: "1 minute",
      limit,
      key: `${name}:${unit.toLowerCase()}`,
      tokens: amount,
    }) as const

  const whenDown = (reason: unknown): Effect.Effect<Refusal | ReadonlyArray<string>> =>
    Effect.as(logDown(reason), fails === "open" ? [] : storeDown)

  return {
    take: (name, amount, limit, unit) =>
      Effect.matchEffect(Effect.suspend(() => limiter.consume(bucket(name, amount, limit, unit))), {
        onSuccess: ({ remaining, resetAfter }) => {
          isDown = false
          return Effect.succeed(headersOf(unit, limit, remaining, resetAfter))
        },
        onFailure: ({ reason }): Effect.Effect<Refusal | ReadonlyArray<string>> => {
          if (reason._tag !== "RateLimitExceeded") return whenDown(reason)
          isDown = false
          const { retryAfter } = reason
          const headers = headersOf(unit, limit, 0, retryAfter)
          return Effect.succeed(
            tooMany(`${unit.toLowerCase()} a minute`, limit, Duration.toSeconds(retryAfter), headers),
          )
        },
      }).pipe(
        Effect.timeoutOrElse({ duration: storeLimit, orElse: () => whenDown("it did not answer in time") }),
        Effect.catchDefect(whenDown),
      ),
    correct: (name, amount, limit, unit) => {
      if (amount === 0) return
      const taken = Effect.suspend(() => limiter.consume({ ...bucket(name, amount, limit, unit), onExceeded: "delay" }))
      fork(taken.pipe(Effect.timeout(storeLimit), Effect.ignoreCause))
    },
  }
})
