import { assert, describe, it } from "@effect/vitest"
import { rank } from "../../../src/layers/admission/classQueues.ts"
import { demandFor, modelOn } from "../../../src/testing/demands.ts"

describe("the rank of a waiting request", () => {
  const model = modelOn("m")
  const at = (since: number, now: number) => rank(demandFor(model, { since, priority: "batch" }), now, 10_000)

  it("gets one better with each age, up to the best class", () => {
    assert.deepStrictEqual([0, 9999, 10_000, 20_000, 90_000].map((now) => at(0, now)), [3, 3, 2, 1, 1])
  })

  it("is that of its class when the clock goes back behind its arrival", () => {
    assert.strictEqual(at(60_000, 0), 3)
  })
})
