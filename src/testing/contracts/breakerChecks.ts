/** The single checks of `BreakerContract`. */
import { Effect, Fiber, Stream } from "effect"
import { Breaker, type BreakerTransition } from "../../services/Breaker.ts"
import { clientGone, success } from "../../services/Outcome.ts"
import * as assert from "../assert.ts"
import { tracked } from "../outstanding.ts"
import { attempt, type Drive, refused, saturated } from "./breakerDrive.ts"

type Body = <R>(drive: Drive<R>) => Effect.Effect<void, unknown, Breaker | R>

export const openBackend: Body = (drive) =>
  Effect.gen(function* () {
    const breaker = yield* Breaker
    yield* drive.open({ backend: "a" })
    assert.strictEqual(breaker.state("a"), "open")
    assert.strictEqual(breaker.state("a", "m"), "open")
    assert.isUndefined(breaker.acquire("a", "m"))
    assert.isUndefined(breaker.acquire("a", "never heard of"))
    assert.isAbove(breaker.retryMillis("a", "m"), 0)
    assert.strictEqual(breaker.state("b"), "closed")
    assert.isDefined(breaker.acquire("b", "m"))
    assert.strictEqual(breaker.retryMillis("b", "m"), 0)
  })

export const openModel: Body = (drive) =>
  Effect.gen(function* () {
    const breaker = yield* Breaker
    yield* drive.open({ backend: "a", model: "embedder" })
    assert.strictEqual(breaker.state("a", "embedder"), "open")
    assert.strictEqual(breaker.state("a"), "closed")
    assert.isUndefined(breaker.acquire("a", "embedder"))
    attempt(breaker, success, 10, "a", "chat")
    assert.strictEqual(breaker.retryMillis("a", "chat"), 0)
  })

export const halfOpen: Body = (drive) =>
  Effect.gen(function* () {
    const breaker = yield* Breaker
    yield* drive.open({ backend: "a" })
    yield* drive.elapse(30_000)
    assert.strictEqual(breaker.state("a", "m"), "half-open")
    assert.strictEqual(breaker.retryMillis("a", "m"), 0)
    const trial = breaker.acquire("a", "m")
    assert.strictEqual(trial?.trial, true)
    assert.isUndefined(breaker.acquire("a", "m"))
    assert.isUndefined(breaker.acquire("a", "other"))
    assert.isAbove(breaker.retryMillis("a", "m"), 0)
    trial!.record(success)
    assert.strictEqual(breaker.state("a", "m"), "closed")
    assert.strictEqual(breaker.acquire("a", "m")?.trial, false)
  })

export const trialWithoutAnswer: Body = (drive) =>
  Effect.gen(function* () {
    const breaker = yield* Breaker
    yield* drive.open({ backend: "a" })
    yield* drive.elapse(30_000)
    for (let i = 0; i < 20; i++) attempt(breaker, i % 2 === 0 ? clientGone : saturated)
    assert.strictEqual(breaker.state("a"), "half-open")
    attempt(breaker, success)
    assert.strictEqual(breaker.state("a"), "closed")
  })

export const saturation = Effect.gen(function* () {
  const breaker = yield* Breaker
  attempt(breaker, saturated, 100)
  attempt(breaker, clientGone, 100)
  assert.strictEqual(breaker.state("a", "m"), "closed")
})

export const permitOnce: Body = (drive) =>
  Effect.gen(function* () {
    const breaker = yield* Breaker
    const once = breaker.acquire("a", "m")!
    for (let i = 0; i < 9; i++) once.record(refused)
    assert.strictEqual(breaker.state("a"), "closed")
    once.record(success)
    const old = Array.from({ length: 20 }, () => breaker.acquire("a", "m")!)
    yield* drive.open({ backend: "a" })
    assert.strictEqual(breaker.state("a"), "open")
    old[0]!.record(success)
    assert.strictEqual(breaker.state("a"), "open")
    yield* drive.elapse(30_000)
    old[1]!.record(refused)
    old[2]!.record(success)
    assert.strictEqual(breaker.state("a"), "half-open")
    attempt(breaker, success)
    for (const permit of old) permit.record(refused)
    assert.strictEqual(breaker.state("a"), "closed")
  })

export const transitions: Body = (drive) =>
  Effect.gen(function* () {
    const breaker = yield* Breaker
    const told: Array<BreakerTransition> = []
    const stop = breaker.onTransition((transition) => {
      assert.strictEqual(breaker.state(transition.key.backend, transition.key.model), transition.to)
      told.push(transition)
    })
    const streamed = yield* breaker.transitions.pipe(
      Stream.take(3),
      Stream.runCollect,
      Effect.forkChild({ startImmediately: true }),
    )
    yield* drive.open({ backend: "a", model: "m" })
    yield* drive.elapse(30_000)
    attempt(breaker, success)
    assert.deepStrictEqual(told.map(({ from, key, to }) => [key.backend, key.model, from, to]), [
      ["a", "m", "closed", "open"],
      ["a", "m", "open", "half-open"],
      ["a", "m", "half-open", "closed"],
    ])
    const waited = told[1]!.at - told[0]!.at
    assert.isAbove(waited, 0)
    assert.isAtMost(waited, 30_000)
    assert.strictEqual(told[2]!.at - told[0]!.at, 30_000)
    assert.deepStrictEqual(Array.from(yield* tracked("the third transition of the stream", Fiber.join(streamed))), told)
    stop()
    yield* drive.open({ backend: "a", model: "m" })
    assert.lengthOf(told, 3)
  })

export const isolation: Body = (drive) =>
  Effect.gen(function* () {
    const breaker = yield* Breaker
    const told: Array<string> = []
    breaker.onTransition(({ from, key, to }) => told.push(`${key.backend}/${key.model ?? ""} ${from}>${to}`))
    const old = breaker.acquire("a", "m")!
    breaker.isolate({ backend: "a" })
    breaker.isolate({ backend: "a" })
    assert.strictEqual(breaker.state("a", "m"), "isolated")
    assert.isUndefined(breaker.acquire("a", "m"))
    assert.isAbove(breaker.retryMillis("a", "m"), 0)
    assert.isTrue(Number.isFinite(breaker.retryMillis("a", "m")))
    attempt(breaker, success, 1, "b")
    old.record(success)
    yield* drive.elapse(600_000)
    assert.strictEqual(breaker.state("a"), "isolated")
    breaker.restore({ backend: "a" })
    breaker.restore({ backend: "a" })
    attempt(breaker, success)
    breaker.isolate({ backend: "a", model: "m" })
    assert.isUndefined(breaker.acquire("a", "m"))
    attempt(breaker, success, 1, "a", "other")
    breaker.restore({ backend: "a", model: "m" })
    attempt(breaker, success)
    assert.deepStrictEqual(told, [
      "a/ closed>isolated",
      "a/ isolated>closed",
      "a/m closed>isolated",
      "a/m isolated>closed",
    ])
  })

export const isolationEndsTrial: Body = (drive) =>
  Effect.gen(function* () {
    const breaker = yield* Breaker
    yield* drive.open({ backend: "a" })
    yield* drive.elapse(30_000)
    const trial = breaker.acquire("a", "m")!
    breaker.isolate({ backend: "a" })
    trial.record(success)
    assert.strictEqual(breaker.state("a"), "isolated")
    yield* drive.elapse(300_000)
    breaker.restore({ backend: "a" })
    assert.strictEqual(breaker.acquire("a", "m")?.trial, false)
    yield* drive.open({ backend: "a" })
    yield* drive.elapse(30_000)
    yield* drive.elapse(30_000)
    assert.strictEqual(breaker.acquire("a", "m")?.trial, true)
    assert.isUndefined(breaker.acquire("a", "m"))
  })
