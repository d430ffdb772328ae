import { assert, describe, it } from "@effect/vitest"
import {
  type Charged,
  makeRoom,
  type Question,
  type ResidentCandidate,
  type Room,
} from "../../../../src/layers/memory/residency/makeRoom.ts"
import type { VictimPicker } from "../../../../src/services/Plugin.ts"
import type { AllocationState } from "../../../../src/services/VramLedger.ts"

/** Picks the candidates in order until enough is free. */
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

const charged = (bytes: number, state: AllocationState, device = "g0"): Charged => ({
  state,
  shares: [{ device, bytes }],
})

const candidate = (model: string, bytes: number, more: Partial<ResidentCandidate> = {}): ResidentCandidate => ({
  draining: false,
  idle: true,
  pinned: false,
  load: "none",
  restedMillis: 60_000,
  shares: [{ device: "g0", bytes }],
  victim: {
    backend: "a",
    model,
    loadMillis: 1000,
    lastUsedAt: 0,
    loadedAt: 0,
    rate: 0,
    keepAliveMillis: undefined,
    blob: undefined,
  },
  ...more,
})

const rules = { picker: inOrder, idleMillis: 1000, patienceMillis: 10_000 }

const question = (options: Partial<Question>): Question => {
  const candidates = options.candidates ?? [candidate("m", 8), candidate("n", 8)]
  return {
    freeing: [{ devices: ["g0"], bytes: 6 }],
    candidates,
    rules,
    now: 60_000,
    impatient: false,
    ...options,
    allocations: [
      ...candidates.map(({ shares }): Charged => ({ state: "resident", shares })),
      ...(options.allocations ?? []),
    ],
  }
}
const names = ({ leave }: Room) => typeof leave === "string" ? leave : leave.map(({ victim }) => victim.model)

describe("makeRoom", () => {
  it("drains the models that the picker names", () => {
    assert.deepStrictEqual(names(makeRoom(question({}))), ["m"])
    assert.deepStrictEqual(names(makeRoom(question({ freeing: [{ devices: ["g0"], bytes: 9 }] }))), ["m", "n"])
    assert.strictEqual(names(makeRoom(question({ freeing: [{ devices: ["g0"], bytes: 17 }] }))), "none")
  })

  it("waits for memory that is being freed already, and drains models for the rest", () => {
    const leaving = [charged(6, "draining")]
    assert.strictEqual(names(makeRoom(question({ allocations: leaving }))), "under way")
    const more = question({ allocations: leaving, freeing: [{ devices: ["g0"], bytes: 7 }] })
    assert.deepStrictEqual(names(makeRoom(more)), ["m"])
  })

  it("drains no model while memory is being released: until that is read as free, it seems to be missing twice", () => {
    const releasing = [charged(6, "releasing")]
    const freeing = [{ devices: ["g0"], bytes: 12 }]
    assert.strictEqual(names(makeRoom(question({ allocations: releasing, freeing }))), "under way")
    // Memory that is released on another device does not matter.
    const elsewhere = [charged(6, "releasing", "g1")]
    assert.deepStrictEqual(names(makeRoom(question({ allocations: elsewhere, freeing }))), ["m", "n"])
  })

  it.each<readonly [string, Partial<ResidentCandidate>, boolean, string | ReadonlyArray<string>]>([
    ["is pinned", { pinned: true }, true, "none"],
    ["is being loaded", { load: "running" }, true, "none"],
    ["is draining already", { draining: true }, true, "none"],
    ["has its memory on another device", { shares: [{ device: "g1", bytes: 8 }] }, true, "none"],
    ["is busy, and the load has not waited for long", { idle: false }, false, "none"],
    ["was used a moment ago, and the load has not waited for long", { restedMillis: 999 }, false, "none"],
    ["is busy, and the load is out of patience", { idle: false }, true, ["m"]],
    ["was used a moment ago, and the load is out of patience", { restedMillis: 999 }, true, ["m"]],
  ])("a model that %s", (_, facts, impatient, answer) => {
    const candidates = [candidate("m", 8, facts)]
    assert.deepStrictEqual(names(makeRoom(question({ candidates, impatient }))), answer)
  })

  it("prefers idle models, also for a load that is out of patience", () => {
    const candidates = [candidate("m", 8, { idle: false }), candidate("n", 8)]
    assert.deepStrictEqual(names(makeRoom(question({ candidates, impatient: true }))), ["n"])
  })

  it.each<readonly [string, VictimPicker["pick"], number]>([
    ["throws", () => {
      throw new Error("no")
    }, 1],
    ["returns no list", () => undefined as never, 0],
    ["names a candidate that does not exist", () => [7], 0],
    ["names candidates that free too little", () => [], 0],
  ])("a picker that %s drains no model", (_, pick, thrown) => {
    const room = makeRoom(question({ rules: { ...rules, picker: { ...inOrder, pick } } }))
    assert.strictEqual(room.leave, "none")
    assert.lengthOf(room.thrown, thrown)
  })
})
