/** Rate limits of replicas that share a real Redis. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { RateLimiter } from "effect/persistence"
import * as NodeRedis from "../../../src/layers/sharing/NodeRedis.ts"
import * as CharactersTokenEstimator from "../../../src/layers/tokens/CharactersTokenEstimator.ts"
import * as RateLimitGuard from "../../../src/plugins/guards/RateLimitGuard.ts"
import type { Guard, Verdict } from "../../../src/services/Plugin.ts"
import { absent, make as makeRedis } from "../../support/redis.ts"
import { request } from "../../support/routers.ts"

if (absent !== "") console.warn(`not tested: shared rate limits: ${absent}`)

/** The guard of one replica, with its own connection and limiter. */
const replica = (url: string) =>
  Effect.map(
    Layer.build(
      Layer.effect(RateLimiter.RateLimiter, RateLimiter.make).pipe(
        Layer.provide(RateLimiter.layerStoreRedis({ prefix: "llamero:limit:" })),
        Layer.provide(NodeRedis.layer({ url })),
        Layer.merge(CharactersTokenEstimator.layer()),
      ),
    ),
    (services) =>
      Effect.provideContext(RateLimitGuard.make({ requestsPerMinute: 500, tokensPerMinute: 1000 }), services),
  ).pipe(Effect.flatten)

const ask = ({ check }: Guard) => {
  const verdict = check(request("/api/generate", { model: "m", prompt: "word ".repeat(160) }))
  return Effect.isEffect(verdict) ? verdict : Effect.succeed<Verdict>(verdict)
}
const reason = (verdict: Verdict) => verdict._tag === "Refusal" ? `${verdict.status} ${verdict.message}` : verdict._tag

describe.skipIf(absent !== "")("rate limits over Redis", () => {
  it.live(
    "count for both replicas together, and are given back by either; without Redis the guard answers 503",
    () =>
      Effect.scoped(Effect.gen(function* () {
        const redis = yield* makeRedis
        const a = yield* replica(redis.url)
        const b = yield* replica(redis.url)
        // Each request takes about 200 tokens. Connections are made in the background.
        const connected = (guard: Guard) =>
          Effect.repeat(Effect.delay(ask(guard), "20 millis"), {
            until: (verdict) => !reason(verdict).startsWith("503"),
          })
        const first = yield* connected(a)
        const second = yield* connected(b)
        assert.deepStrictEqual([first, second].map(reason), ["Pass", "Pass"])
        assert.strictEqual(reason(yield* ask(a)), "Pass")
        assert.strictEqual(reason(yield* ask(b)), "Pass")
        for (const guard of [a, b]) {
          assert.include(reason(yield* ask(guard)), "429 rate limit reached: 1000 tokens a minute")
        }
        // No backend has answered, so the tokens are given back, and the other replica can take them.
        if (first._tag === "Pass") first.settled?.({ kind: "ignored", cause: "QueueFull" })
        yield* Effect.repeat(Effect.delay(ask(b), "20 millis"), { until: (verdict) => verdict._tag === "Pass" })
        assert.include(reason(yield* ask(a)), "429")
        yield* redis.kill
        const away = yield* Effect.repeat(Effect.delay(ask(b), "20 millis"), {
          until: (verdict) => reason(verdict).startsWith("503"),
        })
        assert.strictEqual(away._tag, "Refusal")
      })),
    30_000,
  )
})
