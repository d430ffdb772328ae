import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Assignments } from "../../../../src/layers/memory/prewarm/assignments.ts"
import { backend } from "../../../../src/services/Fleet.ts"
import { Residency } from "../../../../src/services/Residency.ts"
import * as MockResidency from "../../../../src/testing/mocks/MockResidency.ts"
import { modelOn } from "../../../support/demands.ts"

const a = backend({ url: "http://a", id: "a" })
const target = { model: "m", released: true }

describe("Assignments", () => {
  it.effect("unloads a model only when no other plan wants it, also if the catalog has made it again meanwhile", () =>
    Effect.gen(function* () {
      const loads = yield* MockResidency.MockLoads
      const assignments = new Assignments(yield* Residency)
      const first = { plan: "first", backend: a, model: modelOn("m:latest", "a"), target }
      // A backend has joined that has the model, too: the catalog's model is another object.
      const second = { plan: "second", backend: a, model: modelOn("m:latest", "a", "b"), target }
      assignments.update([first])
      assignments.update([first, second])
      assignments.update([second])
      assert.deepStrictEqual(loads.unloads(), [])
      assignments.update([])
      assert.deepStrictEqual(loads.unloads(), [{ backend: "a", model: "m:latest" }])
    }).pipe(Effect.provide(MockResidency.layer({ resident: [["a", "m:latest"]] }))))
})
