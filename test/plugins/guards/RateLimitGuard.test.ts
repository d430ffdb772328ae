/** The guard on its own: which limits apply, under which name they are counted, and how a debt is paid off. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Logger } from "effect"
import { RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"
import * as StaticApiKeys from "../../../src/layers/keys/StaticApiKeys.ts"
import * as CharactersTokenEstimator from "../../../src/layers/tokens/CharactersTokenEstimator.ts"
import * as ApiKeyGuard from "../../../src/plugins/guards/ApiKeyGuard.ts"
import * as RateLimitGuard from "../../../src/plugins/guards/RateLimitGuard.ts"
import type { Grant } from "../../../src/services/ApiKeys.ts"
import type { Guard, Verdict } from "../../../src/services/Plugin.ts"
import { request } from "../../support/routers.ts"

const services = Layer.merge(
  RateLimiter.layer.pipe(Layer.provide(RateLimiter.layerStoreMemory)),
  CharactersTokenEstimator.layer(),
)
const make = (options?: RateLimitGuard.Options) => Effect.provide(RateLimitGuard.make(options), services)

const ask = ({ check }: Guard, who: { readonly grant?: Grant; readonly tenant?: string }, words = 1) => {
  const verdict = check({ ...request("/api/generate", { model: "m", prompt: "word ".repeat(words) }), ...who })
  return Effect.isEffect(verdict) ? verdict : Effect.succeed<Verdict>(verdict)
}
/** How many of ten requests are let in. */
const admitted = (guard: Guard, who: Parameters<typeof ask>[1]) =>
  Effect.map(
    Effect.forEach(Array.from({ length: 10 }), () => ask(guard, who)),
    (verdicts) => verdicts.filter(({ _tag }) => _tag === "Pass").length,
  )
const grant = (id: string, rest?: Partial<Grant>): Grant => ({ id, tenant: "team", ...rest })

describe("RateLimitGuard", () => {
  it.effect("the limits of a key replace the common ones, whether they are higher or lower", () =>
    Effect.gen(function* () {
      const guard = yield* make({ requestsPerMinute: 4 })
      assert.strictEqual(yield* admitted(guard, { grant: grant("few", { limits: { requestsPerMinute: 2 } }) }), 2)
      assert.strictEqual(yield* admitted(guard, { grant: grant("many", { limits: { requestsPerMinute: 9 } }) }), 9)
      assert.strictEqual(yield* admitted(guard, { grant: grant("plain") }), 4)
    }))

  it.effect("keys of one tenant are counted apart, and so is a tenant with the name of a key", () =>
    Effect.gen(function* () {
      const guard = yield* make({ requestsPerMinute: 3 })
      for (const who of [{ grant: grant("a") }, { grant: grant("b") }, { tenant: "a" }, { tenant: "team" }]) {
        assert.strictEqual(yield* admitted(guard, who), 3)
        assert.strictEqual(yield* admitted(guard, who), 0)
      }
    }))

  it.effect("an answer with more tokens than are left is charged in full, and the next request waits for that", () =>
    Effect.gen(function* () {
      const guard = yield* make({ tokensPerMinute: 100 })
      const first = yield* ask(guard, {})
      assert(first._tag === "Pass")
      first.settled?.({
        kind: "success",
        cause: "done",
        usage: { promptTokens: 50, answerTokens: 250, slotWaitMillis: undefined },
      })
      yield* Effect.yieldNow
      const next = yield* ask(guard, {})
      assert(next._tag === "Refusal")
      // The debt is 200 tokens, at 100 a minute.
      assert.isAtLeast(next.retryAfter ?? 0, 120)
      assert.isAtMost(next.retryAfter ?? 0, 125)
      yield* TestClock.adjust("119 seconds")
      assert.strictEqual((yield* ask(guard, {}))._tag, "Refusal")
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual((yield* ask(guard, {}))._tag, "Pass")
    }))

  it.effect("a prompt above the limit passes when nothing else was used for a minute", () =>
    Effect.gen(function* () {
      const guard = yield* make({ tokensPerMinute: 100 })
      assert.strictEqual((yield* ask(guard, {}, 1000))._tag, "Pass")
      assert.strictEqual((yield* ask(guard, {}, 1000))._tag, "Refusal")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* ask(guard, {}, 1000))._tag, "Pass")
    }))

  it.effect("running requests stay counted, however many tenants a client invents", () =>
    Effect.gen(function* () {
      const guard = yield* make({ concurrent: 1 })
      assert.strictEqual((yield* ask(guard, { tenant: "first" }))._tag, "Pass")
      for (let i = 0; i < 10_100; i++) {
        const verdict = yield* ask(guard, { tenant: `t${i}` })
        assert(verdict._tag === "Pass")
        verdict.settled?.({ kind: "ignored", cause: "client-gone" })
      }
      assert.strictEqual((yield* ask(guard, { tenant: "first" }))._tag, "Refusal")
    }))

  it.effect("an outage of the store is logged once", () => {
    const warnings: Array<unknown> = []
    const log = Logger.layer([Logger.make(({ message }) => void warnings.push(message))])
    const reason = new RateLimiter.RateLimitStoreError({ message: "down" })
    const down = Layer.succeed(RateLimiter.RateLimiterStore, {
      fixedWindow: () => Effect.die("unused"),
      tokenBucket: () => Effect.fail(new RateLimiter.RateLimiterError({ reason })),
      adaptiveConsume: () => Effect.die("unused"),
      adaptiveFeedback: () => Effect.void,
    })
    return Effect.gen(function* () {
      const guard = yield* RateLimitGuard.make({ requestsPerMinute: 5 })
      assert.strictEqual(yield* admitted(guard, {}), 0)
      assert.lengthOf(warnings, 1)
    }).pipe(Effect.provide([RateLimiter.layer.pipe(Layer.provide(down)), CharactersTokenEstimator.layer(), log]))
  })
})

describe("ApiKeyGuard", () => {
  it.effect("gives the request the tenant and priority of its key, and keeps the priority where the key has none", () => {
    const keys = StaticApiKeys.layer([
      { id: "night", secret: { key: "k1" }, tenant: "research", priority: "batch", limits: { concurrent: 2 } },
      { id: "day", secret: { key: "k2" } },
    ])
    return Effect.gen(function* () {
      const { check } = yield* ApiKeyGuard.make()
      const as = (key: string) => {
        const made = request("/api/generate", { model: "m", prompt: "x" }, 0, ["authorization", `Bearer ${key}`])
        const verdict = check({ ...made, priority: "interactive" })
        assert(!Effect.isEffect(verdict) && verdict._tag === "Pass")
        return verdict.request
      }
      assert.deepInclude(as("k1"), { tenant: "research", priority: "batch" })
      assert.deepStrictEqual(as("k1").grant?.limits, { concurrent: 2 })
      assert.deepInclude(as("k2"), { tenant: "day", priority: "interactive" })
    }).pipe(Effect.provide(keys))
  })
})

describe("RateLimitGuard without its store", () => {
  /** A guard whose store does this instead of counting. */
  const over = (
    tokenBucket: () => Effect.Effect<never, RateLimiter.RateLimiterError>,
    options: RateLimitGuard.Options,
  ) =>
    Effect.provide(RateLimitGuard.make(options), [
      RateLimiter.layer.pipe(Layer.provide(Layer.succeed(RateLimiter.RateLimiterStore, {
        fixedWindow: () => Effect.die("unused"),
        tokenBucket,
        adaptiveConsume: () => Effect.die("unused"),
        adaptiveFeedback: () => Effect.void,
      }))),
      CharactersTokenEstimator.layer(),
      Logger.layer([]),
    ])
  const gone = new RateLimiter.RateLimiterError({ reason: new RateLimiter.RateLimitStoreError({ message: "down" }) })
  const stores: Record<string, () => Effect.Effect<never, RateLimiter.RateLimiterError>> = {
    "that fails": () => Effect.fail(gone),
    "that dies": () => Effect.die(new Error("the connection is gone")),
    "that throws": () => {
      throw new Error("no client")
    },
    "that never answers": () => Effect.never,
  }
  for (const [name, store] of Object.entries(stores)) {
    for (const limits of [{ requestsPerMinute: 5 }, { tokensPerMinute: 5 }]) {
      it.effect(`a store ${name} keeps no place of a running request: ${Object.keys(limits).join()}`, () =>
        Effect.gen(function* () {
          const guard = yield* over(store, { concurrent: 2, ...limits })
          for (let i = 0; i < 5; i++) {
            const fiber = yield* Effect.forkChild(Effect.exit(ask(guard, {})), { startImmediately: true })
            yield* TestClock.adjust("5 seconds")
            const exit = yield* Fiber.join(fiber)
            // Never "2 requests at one time": no request runs.
            assert(Exit.isSuccess(exit) && exit.value._tag === "Refusal")
            assert.deepStrictEqual([exit.value.reason, exit.value.status], ["Internal", 503])
          }
        }))

      it.effect(`a store ${name} lets requests pass in a guard that fails open, and counts them while they run`, () =>
        Effect.gen(function* () {
          const guard = yield* over(store, { concurrent: 1, fails: "open", ...limits })
          const one = Effect.gen(function* () {
            const fiber = yield* Effect.forkChild(ask(guard, {}), { startImmediately: true })
            yield* TestClock.adjust("5 seconds")
            return yield* Fiber.join(fiber)
          })
          for (let i = 0; i < 3; i++) {
            const verdict = yield* one
            assert(verdict._tag === "Pass")
            const second = yield* one
            assert(second._tag === "Refusal")
            assert.strictEqual(second.reason, "RateLimited")
            verdict.settled?.({ kind: "success", cause: "ok" })
          }
        }))
    }
  }

  it.effect("a check that is interrupted keeps no place of a running request", () =>
    Effect.gen(function* () {
      const guard = yield* over(() => Effect.never, { concurrent: 1, requestsPerMinute: 5 })
      for (let i = 0; i < 3; i++) {
        const fiber = yield* Effect.forkChild(ask(guard, {}), { startImmediately: true })
        yield* Fiber.interrupt(fiber)
        assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)), `request ${i} was refused`)
      }
    }))
})
