import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { model } from "../../src/layers/MockModelCatalog.ts"
import { backend } from "../../src/services/Fleet.ts"
import { VramLedger } from "../../src/services/VramLedger.ts"

const a = backend({ url: "http://a", id: "a" })
const b = backend({ url: "http://b", id: "b" })

/** `layer` has room for two small models on `a` and on `b`. */
export const suite = <E>(name: string, layer: Layer.Layer<VramLedger, E>): void => {
  describe(`${name} is a VramLedger`, () => {
    it.effect("loads on one backend one after the other, and gives back what is gone, once", () =>
      Effect.gen(function* () {
        const ledger = yield* VramLedger
        const first = ledger.reserve(a, model("m"))
        assert.isFalse("_tag" in first)
        if ("_tag" in first) return
        assert.strictEqual(first.state(), "reserved")
        first.move("loading")
        const refused = ledger.reserve(a, model("n"))
        assert.isTrue("_tag" in refused && refused.reason !== "")
        assert.isFalse("_tag" in ledger.reserve(b, model("m")))
        first.move("resident")
        const second = ledger.reserve(a, model("n"))
        assert.isFalse("_tag" in second)
        assert.lengthOf(ledger.allocations(), 3)
        first.move("gone")
        first.move("loading")
        assert.strictEqual(first.state(), "gone")
        assert.lengthOf(ledger.allocations(), 2)
        assert.deepStrictEqual(ledger.allocations().map((each) => each.backend).toSorted(), ["a", "b"])
      }).pipe(Effect.provide(layer)))
  })
}
