/**
 * What every `Fleet` must do.
 *
 * @since 0.1.0
 */
import { Effect, Fiber, type Layer, Stream } from "effect"
import { Fleet } from "../../services/Fleet.ts"
import * as assert from "../assert.ts"
import { type Check, check } from "../checks.ts"
import { tracked } from "../outstanding.ts"

const setState = (fleet: Fleet["Service"], ...[id, state]: Parameters<Fleet["Service"]["setState"]>) =>
  tracked(`setState of ${id} to ${state}`, fleet.setState(id, state))

/** `layer` has the backends `a` and `b`. @category contracts @since 0.1.0 */
export const contract = (layer: Layer.Layer<Fleet, unknown>): ReadonlyArray<Check> => [
  check("has its members, active, in one array that stays until something changes", () =>
    Effect.gen(function* () {
      const fleet = yield* Fleet
      const members = fleet.members()
      assert.deepStrictEqual(members.map(({ backend, state }) => [backend.id, state]), [["a", "active"], [
        "b",
        "active",
      ]])
      assert.strictEqual(fleet.members(), members)
      yield* setState(fleet, "a", "active")
      assert.strictEqual(fleet.members(), members)
      yield* setState(fleet, "a", "draining")
      assert.notStrictEqual(fleet.members(), members)
      assert.deepStrictEqual(fleet.members().map(({ state }) => state), ["draining", "active"])
    }).pipe(Effect.provide(layer))),

  check("streams the present members, then each change", () =>
    Effect.gen(function* () {
      const fleet = yield* Fleet
      const fiber = yield* fleet.changes.pipe(
        Stream.map((members) => members.map(({ state }) => state).join()),
        Stream.take(3),
        Stream.runCollect,
        Effect.forkChild({ startImmediately: true }),
      )
      yield* Effect.yieldNow
      yield* setState(fleet, "b", "isolated")
      yield* Effect.yieldNow
      yield* setState(fleet, "b", "active")
      assert.deepStrictEqual(yield* tracked("the third change of the stream", Fiber.join(fiber)), [
        "active,active",
        "active,isolated",
        "active,active",
      ])
    }).pipe(Effect.provide(layer))),

  check(
    "reads itself again at once, where it can: when nothing has changed, nothing changes",
    () =>
      Effect.gen(function* () {
        const fleet = yield* Fleet
        if (fleet.reload === undefined) return
        yield* setState(fleet, "b", "draining")
        const members = fleet.members()
        assert.isFalse(yield* tracked("reload", fleet.reload))
        assert.strictEqual(fleet.members(), members)
      }).pipe(Effect.provide(layer)),
  ),

  check("refuses to change a backend that it does not have", () =>
    Effect.gen(function* () {
      const fleet = yield* Fleet
      const error = yield* Effect.flip(setState(fleet, "c", "draining"))
      assert.strictEqual(error.reason._tag, "UnknownBackend")
    }).pipe(Effect.provide(layer))),
]
