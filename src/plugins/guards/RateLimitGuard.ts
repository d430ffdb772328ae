/**
 * So many requests and tokens a minute, and so many requests at one time, for each API key or tenant.
 *
 * @since 0.1.0
 */
import { Duration, Effect } from "effect"
import { RateLimiter } from "effect/persistence"
import type { Limits } from "../../services/ApiKeys.ts"
import * as ModelName from "../../services/ModelName.ts"
import type { Outcome } from "../../services/Outcome.ts"
import type { Guard, Verdict } from "../../services/Plugin.ts"
import { type Refusal, refuse } from "../../services/Refusal.ts"
import type { RoutedRequest } from "../../services/RoutedRequest.ts"
import { TokenEstimator } from "../../services/TokenEstimator.ts"

/** @category models @since 0.1.0 */
export interface Options extends Limits {
  /** `closed` refuses requests with 503 while the store of the limits cannot be reached, `open` lets them pass. Defaults to `closed`. */
  readonly fails?: "closed" | "open" | undefined
}

const tooMany = (what: string, limit: number, retryAfter: number, headers?: ReadonlyArray<string>): Refusal =>
  refuse("RateLimited", `rate limit reached: ${limit} ${what}`, { retryAfter, headers })

type Unit = "Requests" | "Tokens"

/** OpenAI's names. The time is that until all is there again; in a refusal, until a retry may succeed. */
const left = (unit: Unit, limit: number, remaining: number, reset: Duration.Duration): ReadonlyArray<string> => [
  `X-RateLimit-Limit-${unit}`,
  String(limit),
  `X-RateLimit-Remaining-${unit}`,
  String(Math.max(0, Math.floor(remaining))),
  `X-RateLimit-Reset-${unit}`,
  `${Math.ceil(Duration.toSeconds(reset))}s`,
]

const knownMax = 10_000

/** A request under way is not known to end soon. */
const concurrentRetrySeconds = 1

const storeDown = refuse("Internal", "the rate limits cannot be checked, please try again", {
  status: 503,
  retryAfter: 1,
})

/** What was really used: what the backend counted, else what was reserved; nothing where no backend has answered. */
const used = ({ usage }: Outcome, reserved: number): number =>
  usage === undefined ? 0 : (usage.promptTokens ?? reserved) + (usage.answerTokens ?? 0)

/**
 * The limits of the client's key go before the ones given here, which are for every key or tenant without limits of its own.
 *
 * **Details**
 *
 * Token buckets of Effect's `RateLimiter`: a full minute's worth may go at once, and comes back evenly. The prompt's estimated tokens are taken when a
 * request is let in, and set right when it has ended: with what the backend counted of prompt and answer, and all given back where no backend has answered. An
 * answer may so leave a debt, which later requests wait for; a prompt above the limit passes when nothing else was used for a minute. Refusals are 429 with `Retry-After`.
 *
 * Answers and refusals say how much is left: `X-RateLimit-Limit-Requests` and `-Tokens`, `X-RateLimit-Remaining-…` and `X-RateLimit-Reset-…` (`12s`), as OpenAI's.
 *
 * Give it `RateLimiter.layerStoreMemory` for one router, or a store on Redis for several. The number at one time is kept by each router for itself.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options?: Options,
): Effect.Effect<Guard, never, RateLimiter.RateLimiter | TokenEstimator> =>
  Effect.gen(function* () {
    const limiter = yield* RateLimiter.RateLimiter
    const tokens = yield* TokenEstimator
    const fork = Effect.runForkWith(yield* Effect.context<never>())
    /** As many as keys and tenants; tidied only where a client may make up tenants. */
    const running = new Map<string, { count: number }>()

    /** An outage is logged once, when it begins. */
    let reported = false
    const unavailable = (reason: unknown): Effect.Effect<void> => {
      if (reported) return Effect.void
      reported = true
      return Effect.logWarning("the store of rate limits does not answer", reason)
    }

    const runningOf = (who: string): { count: number } => {
      const known = running.get(who)
      if (known !== undefined) return known
      if (running.size >= knownMax) { for (const [name, { count }] of running) if (count === 0) running.delete(name) }
      const made = { count: 0 }
      running.set(who, made)
      return made
    }

    /** A refusal, or what is left. */
    const take = (who: string, amount: number, limit: number, unit: Unit) => {
      const what = unit.toLowerCase()
      const key = `${who}:${what}`
      return Effect.matchEffect(
        limiter.consume({ algorithm: "token-bucket", window: "1 minute", limit, key, tokens: amount }),
        {
          onSuccess: ({ remaining, resetAfter }) => {
            reported = false
            return Effect.succeed(left(unit, limit, remaining, resetAfter))
          },
          onFailure: ({ reason }): Effect.Effect<Refusal | ReadonlyArray<string>> => {
            if (reason._tag !== "RateLimitExceeded") {
              return Effect.as(unavailable(reason), options?.fails === "open" ? [] : storeDown)
            }
            reported = false
            const { retryAfter } = reason
            const headers = left(unit, limit, 0, retryAfter)
            return Effect.succeed(tooMany(`${what} a minute`, limit, Duration.toSeconds(retryAfter), headers))
          },
        },
      )
    }

    /** Gives back what is below zero, and charges what is above, whether it is there or not. */
    const settle = (key: string, amount: number, limit: number): void => {
      if (amount === 0) return
      fork(Effect.ignore(
        limiter.consume({
          algorithm: "token-bucket",
          onExceeded: "delay",
          window: "1 minute",
          limit,
          key,
          tokens: amount,
        }),
      ))
    }

    const reserve = Effect.fnUntraced(function* (
      request: RoutedRequest,
      { requestsPerMinute, tokensPerMinute }: Limits,
      who: string,
      leave: () => void,
    ): Effect.fn.Return<Verdict> {
      const requests = requestsPerMinute === undefined ? [] : yield* take(who, 1, requestsPerMinute, "Requests")
      if ("_tag" in requests) return requests
      if (tokensPerMinute === undefined) return { _tag: "Pass", request, settled: leave, headers: requests }
      const { images, model, promptBytes } = request.envelope
      const reserved = Math.min(tokens.estimate(ModelName.canonical(model), promptBytes, images), tokensPerMinute)
      const rest = yield* take(who, reserved, tokensPerMinute, "Tokens")
      if ("_tag" in rest) return rest
      return {
        _tag: "Pass",
        request,
        headers: [...requests, ...rest],
        settled: (outcome) => {
          leave()
          settle(`${who}:tokens`, used(outcome, reserved) - reserved, tokensPerMinute)
        },
      }
    })

    const check: Guard["check"] = (request) => {
      const limits = request.grant?.limits ?? options ?? {}
      const { concurrent, requestsPerMinute, tokensPerMinute } = limits
      const rated = requestsPerMinute !== undefined || tokensPerMinute !== undefined
      if (concurrent === undefined && !rated) return { _tag: "Pass", request }
      // Keys and tenants may have the same names.
      const who = request.grant === undefined ? `tenant:${request.tenant}` : `key:${request.grant.id}`
      const mine = runningOf(who)
      if (concurrent !== undefined && mine.count >= concurrent) {
        return tooMany("requests at one time", concurrent, concurrentRetrySeconds)
      }
      mine.count++
      const leave = () => {
        mine.count--
      }
      if (!rated) return { _tag: "Pass", request, settled: leave }
      return Effect.tap(reserve(request, limits, who, leave), (verdict) => {
        if (verdict._tag === "Refusal") leave()
        return Effect.void
      })
    }
    return { kind: "guard", name: "rate-limit", check, fails: options?.fails }
  })
