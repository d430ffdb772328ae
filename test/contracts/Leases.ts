/** What every `Leases` must do: one release each, counts that add up, and news when something is free. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { isLease, Leases } from "../../src/services/Leases.ts"
import { success } from "../../src/services/Outcome.ts"
import { demandFor, type modelOn } from "../support/demands.ts"

/** `layer` must have room for two of `model` and no more. */
export const contract = (name: string, layer: Layer.Layer<Leases, unknown>, model: ReturnType<typeof modelOn>) => {
  const take = (id: string) =>
    Effect.map(Leases, (leases) => {
      const demand = demandFor(model, { id })
      return leases.commit(leases.view.owners(model).map((view) => ({ view, score: 1 })), demand)
    })

  describe(`Leases contract: ${name}`, () => {
    it.effect("grants as many as there is room for, then says wait", () =>
      Effect.gen(function* () {
        const leases = yield* Leases
        assert.isTrue(isLease(yield* take("1")))
        assert.isTrue(isLease(yield* take("2")))
        assert.strictEqual(yield* take("3"), "wait")
        assert.strictEqual(leases.count(), 2)
      }).pipe(Effect.provide(layer)))

    it.effect("release is idempotent, frees one place, and tells those who wait", () =>
      Effect.gen(function* () {
        const leases = yield* Leases
        let told = 0
        const stop = leases.onFree(() => told++)
        const lease = yield* take("1")
        assert(isLease(lease))
        const before = told
        lease.release(success)
        assert.strictEqual(told, before + 1)
        lease.release(success)
        assert.strictEqual(told, before + 1)
        assert.strictEqual(leases.count(), 0)
        stop()
        const next = yield* take("2")
        assert(isLease(next))
        next.release(success)
        assert.strictEqual(told, before + 1)
      }).pipe(Effect.provide(layer)))
  })
}
