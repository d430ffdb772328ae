import { assert, describe, it } from "@effect/vitest"
import { Option } from "effect"
import { Entry } from "../../../../src/layers/memory/residency/entry.ts"
import { makeRoom, type Question, type Tenant } from "../../../../src/layers/memory/residency/makeRoom.ts"
import { ResidentModels } from "../../../../src/layers/memory/residency/residentModels.ts"
import type { ModelCatalog } from "../../../../src/services/ModelCatalog.ts"
import type { VictimPicker } from "../../../../src/services/Plugin.ts"
import type { Allocation, AllocationState } from "../../../../src/services/VramLedger.ts"

/** All there are, in order, until enough is free. */
const inOrder: VictimPicker = {
  kind: "victim-picker",
  name: "in-order",
  pick: (victims, wanted) => {
    let bytes = 0
    return victims.flatMap((victim, index) => {
      if (bytes >= wanted) return []
      bytes += victim.bytes
      return [index]
    })
  },
}

const catalog: Pick<ModelCatalog["Service"], "peek" | "blob"> = { peek: () => undefined, blob: () => Option.none() }

const allocation = (model: string, bytes: number, state: AllocationState, device = "g0"): Allocation => ({
  backend: "a",
  model,
  state: () => state,
  shares: () => [{ device, bytes }],
  move: () => {},
})

const tenant = (model: string, bytes: number): Tenant => {
  const models = new ResidentModels("a", catalog as ModelCatalog["Service"], {
    observe: () => {},
  })
  const entry = new Entry(model, 0, 0)
  entry.allocation = allocation(model, bytes, "resident")
  return { models, entry, pinned: false, loading: false, loadMillis: 1000 }
}

const question = (options: Partial<Question>): Question => {
  const tenants = options.tenants ?? [tenant("m", 8), tenant("n", 8)]
  return {
    freeing: [{ devices: ["g0"], bytes: 6 }],
    tenants,
    allocations: [...tenants.map(({ entry }) => entry.allocation!), ...(options.allocations ?? [])],
    picker: inOrder,
    now: 60_000,
    impatient: false,
    idleMillis: 1000,
    ...(options.freeing === undefined ? {} : { freeing: options.freeing }),
  }
}
const names = (answer: ReturnType<typeof makeRoom>) =>
  typeof answer === "string" ? answer : answer.map(({ entry }) => entry.key)

describe("makeRoom", () => {
  it("lets go what the picker says", () => {
    assert.deepStrictEqual(names(makeRoom(question({}))), ["m"])
    assert.deepStrictEqual(names(makeRoom(question({ freeing: [{ devices: ["g0"], bytes: 9 }] }))), ["m", "n"])
    assert.strictEqual(makeRoom(question({ freeing: [{ devices: ["g0"], bytes: 17 }] })), "none")
  })

  it("waits for what is leaving already, and takes what is missing besides", () => {
    const leaving = [allocation("x", 6, "draining")]
    assert.strictEqual(makeRoom(question({ allocations: leaving })), "under way")
    const more = question({ allocations: leaving, freeing: [{ devices: ["g0"], bytes: 7 }] })
    assert.deepStrictEqual(names(makeRoom(more)), ["m"])
  })

  it("sends nobody away while memory is on its way back: until it is read, it seems to be missing twice", () => {
    const releasing = [allocation("x", 6, "releasing")]
    const freeing = [{ devices: ["g0"], bytes: 12 }]
    assert.strictEqual(makeRoom(question({ allocations: releasing, freeing })), "under way")
    // Not so on another device.
    const elsewhere = [allocation("x", 6, "releasing", "g1")]
    assert.deepStrictEqual(names(makeRoom(question({ allocations: elsewhere, freeing }))), ["m", "n"])
  })
})
