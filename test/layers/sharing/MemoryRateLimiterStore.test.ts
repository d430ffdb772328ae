/** The store limits as Effect's own does, and forgets the tenants that are gone. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"
import * as MemoryRateLimiterStore from "../../../src/layers/sharing/MemoryRateLimiterStore.ts"
import { random } from "../../wire/support.ts"

const bucket = (key: string, tokens = 1) =>
  ({ algorithm: "token-bucket", window: "1 minute", limit: 10, key, tokens }) as const

const history = (seed: number) =>
  Effect.gen(function* () {
    const rng = random(seed)
    const limiter = yield* RateLimiter.RateLimiter
    const answers: Array<unknown> = []
    for (let i = 0; i < 300; i++) {
      const key = `k${rng.below(5)}`
      const asked = { ...bucket(key, rng.below(9) - (rng.below(5) === 0 ? 3 : 0)) }
      const options = rng.below(4) === 0 ? { ...asked, onExceeded: "delay" as const } : asked
      answers.push(
        yield* Effect.match(limiter.consume(options), {
          onSuccess: (result) => JSON.stringify(result),
          onFailure: ({ reason }) => JSON.stringify(reason),
        }),
      )
      yield* TestClock.adjust(rng.below(20_000))
    }
    return answers
  })

describe("MemoryRateLimiterStore", () => {
  it.effect("answers as Effect's store in memory does", () =>
    Effect.gen(function* () {
      const over = (store: Layer.Layer<RateLimiter.RateLimiterStore>, seed: number) =>
        history(seed).pipe(Effect.provide(Layer.provide(RateLimiter.layer, store)), Effect.provide(TestClock.layer()))
      for (let seed = 0; seed < 10; seed++) {
        const own = yield* over(MemoryRateLimiterStore.layer, seed)
        assert.deepStrictEqual(own, yield* over(RateLimiter.layerStoreMemory, seed))
        assert.isTrue(own.some((answer) => String(answer).includes("xceeded")))
      }
    }))

  it.effect("gives nobody a fresh bucket while others invent names", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.RateLimiter
      const one = Effect.match(limiter.consume(bucket("one")), { onSuccess: () => true, onFailure: () => false })
      let passed = 0
      for (let i = 0; i < 20_000; i++) {
        if (i % 100 === 0 && (yield* one)) passed++
        yield* limiter.consume(bucket(`other ${i}`))
        if (i % 10 === 0) yield* TestClock.adjust(15)
      }
      // Ten at once, and ten a minute for half a minute.
      assert.isAtLeast(passed, 14)
      assert.isAtMost(passed, 15)
    }).pipe(Effect.provide(Layer.provide(RateLimiter.layer, MemoryRateLimiterStore.layer))))
})
