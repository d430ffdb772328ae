import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as ReplicaPlan from "../../../src/plugins/plans/ReplicaPlan.ts"
import * as CostAwareVictimPicker from "../../../src/plugins/victims/CostAwareVictimPicker.ts"
import * as NoVictimPicker from "../../../src/plugins/victims/NoVictimPicker.ts"
import * as OllamaOrderVictimPicker from "../../../src/plugins/victims/OllamaOrderVictimPicker.ts"
import { Leases } from "../../../src/services/Leases.ts"
import type { Victim } from "../../../src/services/Plugin.ts"
import * as MockModelCatalog from "../../../src/testing/mocks/MockModelCatalog.ts"
import { fleetOf, viewOf } from "../../support/views.ts"
import { partly } from "../../support/web.ts"

const now = 1_000_000
const victim = (options: Partial<Victim>): Victim => ({
  backend: "a",
  model: "m",
  bytes: 10,
  loadMillis: 1000,
  lastUsedAt: 0,
  loadedAt: 0,
  rate: 1e-5,
  keepAliveMillis: undefined,
  blob: undefined,
  ...options,
})

describe("CostAwareVictimPicker", () => {
  const { pick } = CostAwareVictimPicker.make()

  it("picks the model that is used least and loads quickest; among equals the one unused for longest", () => {
    assert.deepStrictEqual(pick([victim({ rate: 1e-4 }), victim({}), victim({ rate: 1e-3 })], 10, now), [1])
    assert.deepStrictEqual(pick([victim({ loadMillis: 9000 }), victim({})], 10, now), [1])
    assert.deepStrictEqual(pick([victim({ lastUsedAt: 9 }), victim({ lastUsedAt: 5 })], 10, now), [1])
  })

  it("picks the cheapest set that frees enough, and nothing when no set does", () => {
    const three = [victim({ bytes: 20, loadMillis: 2500 }), victim({}), victim({})]
    assert.deepStrictEqual(pick(three, 20, now), [1, 2])
    assert.deepStrictEqual(pick(three, 10, now), [1])
    assert.deepStrictEqual(pick(three, 41, now), [])
  })

  it("doubles the cost of a model that was just loaded, but still picks it when it must", () => {
    const fresh = victim({ loadedAt: now - 1000 })
    assert.deepStrictEqual(pick([fresh, victim({ loadMillis: 1500 })], 10, now), [1])
    assert.deepStrictEqual(pick([fresh, victim({ loadMillis: 2500 })], 10, now), [0])
    assert.deepStrictEqual(pick([fresh], 10, now), [0])
  })

  it("finds a set among many victims, and keeps those that are not needed", () => {
    const many = Array.from({ length: 14 }, (_, i) => victim({ loadMillis: 1000 + i }))
    assert.deepStrictEqual(Array.from(pick(many, 30, now)).sort(), [0, 1, 2])
    assert.deepStrictEqual(pick([...many, victim({ bytes: 100, loadMillis: 500 })], 30, now), [14])
    assert.deepStrictEqual(pick(many, 141, now), [])
  })
})

describe("OllamaOrderVictimPicker and NoVictimPicker", () => {
  it("OllamaOrderVictimPicker picks the shortest keep-alive first, then by digest, until enough is free", () => {
    const { pick } = OllamaOrderVictimPicker.make()
    const all = [
      victim({ keepAliveMillis: 500, blob: "b" }),
      victim({ keepAliveMillis: 100, blob: "c" }),
      victim({ keepAliveMillis: 500, blob: "a" }),
      victim({ keepAliveMillis: Infinity, blob: "0" }),
    ]
    assert.deepStrictEqual(pick(all, 25, now), [1, 2, 0])
    assert.deepStrictEqual(pick(all, 41, now), [])
  })

  it("NoVictimPicker picks nothing", () => assert.deepStrictEqual(NoVictimPicker.make().pick([victim({})], 1, now), []))
})

describe("ReplicaPlan", () => {
  it.effect("wants a busy model on one backend more, until it has not been busy for a time", () => {
    let streams = 4
    const views = ["a", "b"].map((id) =>
      viewOf(id, {
        streamsOf: () => id === "a" ? streams : 0,
        limitOf: () => 4,
        residency: () => id === "a" ? "resident" : "absent",
      })
    )
    const plan = ReplicaPlan.make({ hotMillis: 10_000, coolMillis: 60_000 })
    return Effect.gen(function* () {
      const wanted = [{ model: "m:latest", replicas: 2 }]
      assert.deepStrictEqual(yield* plan.targets(0), [])
      assert.deepStrictEqual(yield* plan.targets(9000), [])
      assert.deepStrictEqual(yield* plan.targets(10_000), wanted)
      streams = 3
      assert.deepStrictEqual(yield* plan.targets(70_000), wanted)
      assert.deepStrictEqual(yield* plan.targets(70_001), [])
      // A short busy time does not count.
      streams = 4
      assert.deepStrictEqual(yield* plan.targets(80_000), [])
    }).pipe(Effect.provide(Layer.merge(
      partly(Leases, { view: fleetOf(views) }),
      MockModelCatalog.layer([{ name: "m", owners: ["a", "b"] }]),
    )))
  })
})
