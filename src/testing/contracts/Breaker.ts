/**
 * What every `Breaker` must do.
 *
 * @since 0.1.0
 */
import { Effect, Fiber, type Layer, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Breaker, type BreakerTransition } from "../../services/Breaker.ts"
import { clientGone, success } from "../../services/Outcome.ts"
import * as assert from "../assert.ts"
import { type Check, check, forAll } from "../checks.ts"
import {
  attempt,
  broken,
  byFailures,
  type Drive,
  type Options,
  play,
  refused,
  saturated,
  type Seen,
  Step,
} from "./breakerHistory.ts"

export type { Drive, Options } from "./breakerHistory.ts"

/** Every check builds the layer anew. @category contracts @since 0.1.0 */
export const contract = <R = never>(
  layer: Layer.Layer<Breaker | R, unknown>,
  options: Options<R> = {},
): ReadonlyArray<Check> => {
  const drive: Drive<R> = options.drive ?? byFailures
  const runs = options.runs ?? 300
  return [
    check(
      "an open backend lets nothing through for any model there, and everything for other backends",
      () =>
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
        }).pipe(Effect.provide(layer)),
    ),

    check("an open model leaves the others on its backend alone", () =>
      Effect.gen(function* () {
        const breaker = yield* Breaker
        yield* drive.open({ backend: "a", model: "embedder" })
        assert.strictEqual(breaker.state("a", "embedder"), "open")
        assert.strictEqual(breaker.state("a"), "closed")
        assert.isUndefined(breaker.acquire("a", "embedder"))
        attempt(breaker, success, 10, "a", "chat")
        assert.strictEqual(breaker.retryMillis("a", "chat"), 0)
      }).pipe(Effect.provide(layer))),

    check("half-open lets exactly one trial through", () =>
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
      }).pipe(Effect.provide(layer))),

    check(
      "a trial that ends without an answer makes room for another, and closes nothing",
      () =>
        Effect.gen(function* () {
          const breaker = yield* Breaker
          yield* drive.open({ backend: "a" })
          yield* drive.elapse(30_000)
          for (let i = 0; i < 20; i++) attempt(breaker, i % 2 === 0 ? clientGone : saturated)
          assert.strictEqual(breaker.state("a"), "half-open")
          attempt(breaker, success)
          assert.strictEqual(breaker.state("a"), "closed")
        }).pipe(Effect.provide(layer)),
    ),

    check("is never opened by saturation or by clients", () =>
      Effect.gen(function* () {
        const breaker = yield* Breaker
        attempt(breaker, saturated, 100)
        attempt(breaker, clientGone, 100)
        assert.strictEqual(breaker.state("a", "m"), "closed")
      }).pipe(Effect.provide(layer))),

    check("hears of a permit once, and not of what began before the last transition", () =>
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
      }).pipe(Effect.provide(layer))),

    check("tells of transitions to listeners, with the state in place, and in a stream", () =>
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
        assert.deepStrictEqual(Array.from(yield* Fiber.join(streamed)), told)
        stop()
        yield* drive.open({ backend: "a", model: "m" })
        assert.lengthOf(told, 3)
      }).pipe(Effect.provide(layer))),

    check("what an operator isolates stays out, whatever happens, until it is restored", () =>
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
      }).pipe(Effect.provide(layer))),

    check(
      "isolation ends a trial, and restoring a half-open breaker leaves no second one behind",
      () =>
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
        }).pipe(Effect.provide(layer)),
    ),

    check("invariant 6, whatever the history", () =>
      Effect.gen(function* () {
        const seen: Seen = { trials: 0, contended: 0, stale: 0, opened: 0, isolated: 0 }
        yield* forAll(
          { history: Schema.Array(Step).check(Schema.isMinLength(20), Schema.isMaxLength(80)) },
          ({ history }) => Effect.provide(play(history, seen, options), layer),
          { runs, seed: "breaker" },
        )
        // Nothing is shown by histories that got nowhere.
        for (const count of Object.values(seen)) assert.isAbove(count, runs / 8, JSON.stringify(seen))
        assert.isAbove(seen.trials, runs)
      })),
  ]
}

/**
 * For layers that open after exactly five failures in a row, for exactly 30 seconds, doubling to 5 minutes.
 *
 * @category contracts
 * @since 0.1.0
 */
export const consecutive = (layer: Layer.Layer<Breaker, unknown>): ReadonlyArray<Check> => [
  check("whichever model they were with, where the backend could not be reached", () =>
    Effect.gen(function* () {
      const breaker = yield* Breaker
      attempt(breaker, refused, 4)
      assert.strictEqual(breaker.state("a"), "closed")
      attempt(breaker, refused, 1, "a", "other")
      assert.strictEqual(breaker.state("a"), "open")
      assert.strictEqual(breaker.retryMillis("a", "m"), 30_000)
    }).pipe(Effect.provide(layer))),

  check("and counts only failures in a row", () =>
    Effect.gen(function* () {
      const breaker = yield* Breaker
      for (let i = 0; i < 10; i++) {
        attempt(breaker, refused, 4)
        attempt(breaker, success)
        attempt(breaker, broken, 4)
        attempt(breaker, success)
      }
      assert.strictEqual(breaker.state("a", "m"), "closed")
    }).pipe(Effect.provide(layer))),

  check("until the millisecond that it said", () =>
    Effect.gen(function* () {
      const breaker = yield* Breaker
      attempt(breaker, refused, 5)
      yield* TestClock.adjust("29999 millis")
      assert.isUndefined(breaker.acquire("a", "m"))
      yield* TestClock.adjust("1 millis")
      assert.isDefined(breaker.acquire("a", "m"))
    }).pipe(Effect.provide(layer))),

  check("for twice as long with each failed trial, up to five minutes", () =>
    Effect.gen(function* () {
      const breaker = yield* Breaker
      attempt(breaker, refused, 5)
      const waits: Array<number> = []
      for (let i = 0; i < 7; i++) {
        waits.push(breaker.retryMillis("a", "m") / 1000)
        yield* TestClock.adjust(breaker.retryMillis("a", "m"))
        attempt(breaker, refused)
      }
      assert.deepStrictEqual(waits, [30, 60, 120, 240, 300, 300, 300])
    }).pipe(Effect.provide(layer))),
]
