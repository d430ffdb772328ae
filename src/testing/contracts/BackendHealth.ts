/**
 * What every `BackendHealth` must do.
 *
 * @since 0.1.0
 */
import { Effect, type Layer } from "effect"
import { BackendHealth, type HealthChange } from "../../services/BackendHealth.ts"
import { clientGone, success } from "../../services/Outcome.ts"
import * as assert from "../assert.ts"
import { type Check, check } from "../checks.ts"
import { tracked } from "../outstanding.ts"

/**
 * `driver` makes the backend `a` healthy or unhealthy, in the way that the layer finds it out.
 *
 * @category contracts
 * @since 0.1.0
 */
export const contract = <R>(layer: Layer.Layer<BackendHealth | R>, driver: {
  readonly healthy: Effect.Effect<void, never, BackendHealth | R>
  readonly unhealthy: Effect.Effect<void, never, BackendHealth | R>
}): ReadonlyArray<Check> => {
  return [
    check("does not know a backend that it never heard of", () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* BackendHealth).status("nobody").state, "unknown")
      }).pipe(Effect.provide(layer))),

    check("tells each change once, with the new status in place, until told to stop", () =>
      Effect.gen(function* () {
        const health = yield* BackendHealth
        yield* tracked("driver.healthy", driver.healthy)
        assert.strictEqual(health.status("a").state, "healthy")
        assert.strictEqual(health.status("a").reason, "")
        const changes: Array<HealthChange> = []
        const stop = health.onChange((change) => {
          assert.strictEqual(health.status(change.backend), change.status)
          changes.push(change)
        })
        yield* tracked("driver.unhealthy", driver.unhealthy)
        assert.notStrictEqual(health.status("a").reason, "")
        yield* tracked("driver.healthy", driver.healthy)
        stop()
        yield* tracked("driver.unhealthy", driver.unhealthy)
        assert.deepStrictEqual(changes.map(({ backend, from, status }) => [backend, from, status.state]), [
          ["a", "healthy", "unhealthy"],
          ["a", "unhealthy", "healthy"],
        ])
      }).pipe(Effect.provide(layer))),

    check("is not moved by outcomes that say nothing about the backend", () =>
      Effect.gen(function* () {
        const health = yield* BackendHealth
        yield* tracked("driver.healthy", driver.healthy)
        for (let i = 0; i < 20; i++) {
          health.record("a", clientGone)
          health.record("a", { kind: "saturated", cause: "http-503" })
          health.record("a", success)
          health.record("nobody", { kind: "failure", cause: "refused" })
        }
        yield* Effect.yieldNow
        assert.strictEqual(health.status("a").state, "healthy")
        assert.strictEqual(health.status("nobody").state, "unknown")
      }).pipe(Effect.provide(layer))),
  ]
}
