/**
 * What every `Breaker` must do.
 *
 * @since 0.1.0
 */
import { Effect, type Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Breaker } from "../../services/Breaker.ts"
import { success } from "../../services/Outcome.ts"
import * as assert from "../assert.ts"
import { type Check, check, forAll } from "../checks.ts"
import * as Checks from "./breakerChecks.ts"
import { attempt, broken, byFailures, type Drive, type Options, refused } from "./breakerDrive.ts"
import { play, type Seen, Step } from "./breakerHistory.ts"

export type { Drive, Options } from "./breakerDrive.ts"

const histories = <R>(layer: Layer.Layer<Breaker | R, unknown>, options: Options<R>): Check => {
  const runs = options.runs ?? 300
  return check("invariant 6, whatever the history", () =>
    Effect.gen(function* () {
      const seen: Seen = { trials: 0, contended: 0, stale: 0, opened: 0, isolated: 0 }
      yield* forAll(
        { history: Schema.Array(Step).check(Schema.isMinLength(20), Schema.isMaxLength(80)) },
        ({ history }) => Effect.provide(play(history, seen, options), layer),
        { runs, seed: "breaker" },
      )
      // Histories in which these do not occur show nothing.
      for (const count of Object.values(seen)) assert.isAbove(count, runs / 8, JSON.stringify(seen))
      assert.isAbove(seen.trials, runs)
    }))
}

/** Every check builds the layer anew. @category contracts @since 0.1.0 */
export const contract = <R = never>(
  layer: Layer.Layer<Breaker | R, unknown>,
  options: Options<R> = {},
): ReadonlyArray<Check> => {
  const drive: Drive<R> = options.drive ?? byFailures
  const holds = (name: string, body: Effect.Effect<void, unknown, Breaker | R>) =>
    check(name, () => Effect.provide(body, layer))
  return [
    holds(
      "an open backend lets nothing through for any model there, and everything for other backends",
      Checks.openBackend(drive),
    ),
    holds(
      "an open model leaves the others on its backend alone",
      Checks.openModel(drive),
    ),
    holds(
      "half-open lets exactly one trial through",
      Checks.halfOpen(drive),
    ),
    holds(
      "a trial that ends without an answer makes room for another, and closes nothing",
      Checks.trialWithoutAnswer(drive),
    ),
    holds(
      "is never opened by saturation or by clients",
      Checks.saturation,
    ),
    holds(
      "hears of a permit once, and not of what began before the last transition",
      Checks.permitOnce(drive),
    ),
    holds(
      "tells of transitions to listeners, with the state in place, and in a stream",
      Checks.transitions(drive),
    ),
    holds(
      "what an operator isolates stays out, whatever happens, until it is restored",
      Checks.isolation(drive),
    ),
    holds(
      "isolation ends a trial, and restoring a half-open breaker leaves no second one behind",
      Checks.isolationEndsTrial(drive),
    ),
    histories(layer, options),
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
