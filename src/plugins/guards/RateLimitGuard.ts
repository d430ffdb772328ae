/**
 * Limits requests and tokens in a minute, and requests at the same time, for each API key or tenant.
 *
 * @since 0.1.0
 */
import { Effect, Exit } from "effect"
import type { RateLimiter } from "effect/persistence"
import type { Limits } from "../../services/ApiKeys.ts"
import * as Live from "../../services/Live.ts"
import * as ModelName from "../../services/ModelName.ts"
import type { Outcome } from "../../services/Outcome.ts"
import type { Guard, Verdict } from "../../services/Plugin.ts"
import type { RoutedRequest } from "../../services/RoutedRequest.ts"
import { TokenEstimator } from "../../services/TokenEstimator.ts"
import * as Buckets from "./rateLimit/buckets.ts"
import * as Running from "./rateLimit/running.ts"

/** @category models @since 0.1.0 */
export interface Options extends Limits {
  /**
   * What happens to requests while the store of the limits does not answer: `closed` refuses them with 503, `open` lets
   * them pass. Defaults to `closed`.
   */
  readonly fails?: "closed" | "open" | undefined
}

/** `Retry-After` of a request above `concurrent`: nothing says when a running request will end. */
const concurrentRetrySeconds = 1

/** Tokens that a request used: counted by the backend, else as reserved; none where no backend has answered. */
const tokensUsed = ({ usage }: Outcome, reserved: number): number =>
  usage === undefined ? 0 : (usage.promptTokens ?? reserved) + (usage.answerTokens ?? 0)

/** The name that limits are counted under. A key and a tenant may have the same name, and are counted apart. */
const nameOf = ({ grant, tenant }: RoutedRequest): string =>
  grant === undefined ? `tenant:${tenant}` : `key:${grant.id}`

/** Takes one request and the estimated tokens of its prompt from the buckets of a minute. */
const makeReserve = Effect.fnUntraced(function* (fails: "closed" | "open") {
  const buckets = yield* Buckets.make(fails)
  const estimator = yield* TokenEstimator
  return Effect.fnUntraced(function* (
    request: RoutedRequest,
    { requestsPerMinute, tokensPerMinute }: Limits,
    name: string,
    leave: () => void,
  ): Effect.fn.Return<Verdict> {
    const requests = requestsPerMinute === undefined ? [] : yield* buckets.take(name, 1, requestsPerMinute, "Requests")
    if ("_tag" in requests) return requests
    if (tokensPerMinute === undefined) return { _tag: "Pass", request, settled: leave, headers: requests }
    const { images, model, promptBytes } = request.envelope
    const estimate = estimator.estimate(ModelName.canonical(model), promptBytes, images)
    const reserved = Math.min(estimate, tokensPerMinute)
    const tokens = yield* buckets.take(name, reserved, tokensPerMinute, "Tokens")
    if ("_tag" in tokens) return tokens
    return {
      _tag: "Pass",
      request,
      headers: [...requests, ...tokens],
      settled: (outcome) => {
        leave()
        buckets.correct(name, tokensUsed(outcome, reserved) - reserved, tokensPerMinute, "Tokens")
      },
    }
  })
})

/**
 * Refuses requests above the limits with 429 and `Retry-After`.
 *
 * **Details**
 *
 * The limits of the client's key count first. The ones given here are for every key or tenant without limits of its
 * own.
 *
 * Limits in a minute are token buckets of Effect's `RateLimiter`: a full minute's amount may be used at once, and is
 * refilled evenly. The estimated tokens of the prompt are taken when a request is let in. When it has ended, they are
 * corrected to the tokens of prompt and answer that the backend counted, and given back where no backend has answered.
 * So an answer may leave a debt, which later requests wait for. A prompt above the limit passes when nothing else was
 * used for a minute.
 *
 * Answers and refusals say how much is left, with OpenAI's names: `X-RateLimit-Limit-Requests` and `-Tokens`,
 * `X-RateLimit-Remaining-…`, and `X-RateLimit-Reset-…` (`12s`).
 *
 * Provide `MemoryRateLimiterStore` for one router, or a store on Redis for several. `RateLimiter.layerStoreMemory`
 * would keep every tenant that ever came. Each router counts running requests (`concurrent`) by itself.
 *
 * Limits can change while the router runs (`Live`). What a client has used stays used: a bucket with more than the new
 * limit is cut to it, and one with less is refilled at the new pace.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options?: Live.Input<Options>,
): Effect.Effect<Guard, never, RateLimiter.RateLimiter | TokenEstimator> => {
  const common = Live.of<Options>(options ?? {})
  const { fails } = common.now
  return Effect.map(makeReserve(fails ?? "closed"), (reserve): Guard => {
    const runningOf = Running.counters()
    return {
      kind: "guard",
      name: "rate-limit",
      fails,
      check: (request) => {
        const limits = request.grant?.limits ?? common.now
        const { concurrent, requestsPerMinute, tokensPerMinute } = limits
        const isRated = requestsPerMinute !== undefined || tokensPerMinute !== undefined
        if (concurrent === undefined && !isRated) return { _tag: "Pass", request }
        const name = nameOf(request)
        const running = runningOf(name)
        if (concurrent !== undefined && running.count >= concurrent) {
          return Buckets.tooMany("requests at one time", concurrent, concurrentRetrySeconds)
        }
        running.count++
        const leave = () => {
          running.count--
        }
        if (!isRated) return { _tag: "Pass", request, settled: leave }
        return Effect.onExit(reserve(request, limits, name, leave), (exit) => {
          // A limiter that dies, or a check that is interrupted, must not keep the place among the running requests.
          if (Exit.isFailure(exit) || exit.value._tag === "Refusal") leave()
          return Effect.void
        })
      },
    }
  })
}
