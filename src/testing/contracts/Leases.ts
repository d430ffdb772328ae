/**
 * What every `Leases` must do: leases that are released once, counts that add up, and listeners that hear of free
 * slots.
 *
 * @since 0.1.0
 */
import { Effect, type Layer } from "effect"
import { isLease, Leases } from "../../services/Leases.ts"
import type { Model } from "../../services/ModelCatalog.ts"
import { success } from "../../services/Outcome.ts"
import * as assert from "../assert.ts"
import { type Check, check } from "../checks.ts"
import { demandFor } from "../demands.ts"

/** `layer` must have room for two of `model` and no more. @category contracts @since 0.1.0 */
export const contract = (layer: Layer.Layer<Leases, unknown>, model: Model): ReadonlyArray<Check> => {
  const take = (id: string) =>
    Effect.map(Leases, (leases) => {
      const demand = demandFor(model, { id })
      return leases.commit(leases.view.owners(model).map((view) => ({ view, score: 1 })), demand)
    })

  return [
    check("grants as many as there is room for, then says wait", () =>
      Effect.gen(function* () {
        const leases = yield* Leases
        assert.isTrue(isLease(yield* take("1")))
        assert.isTrue(isLease(yield* take("2")))
        assert.strictEqual(yield* take("3"), "wait")
        assert.strictEqual(leases.count(), 2)
      }).pipe(Effect.provide(layer))),

    check("release is idempotent, frees one slot, and tells the listeners", () =>
      Effect.gen(function* () {
        const leases = yield* Leases
        let told = 0
        const stop = leases.onFree(() => told++)
        const lease = yield* take("1")
        assert.ok(isLease(lease))
        const before = told
        lease.release(success)
        assert.strictEqual(told, before + 1)
        lease.release(success)
        assert.strictEqual(told, before + 1)
        assert.strictEqual(leases.count(), 0)
        stop()
        const next = yield* take("2")
        assert.ok(isLease(next))
        next.release(success)
        assert.strictEqual(told, before + 1)
      }).pipe(Effect.provide(layer))),
  ]
}
