import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { FleetSlots } from "../../../src/layers/leases/fleetSlots.ts"
import { backend, type Member } from "../../../src/services/Fleet.ts"
import type { ResidencyState } from "../../../src/services/Residency.ts"
import { modelOn } from "../../support/demands.ts"

const count = 200
const ids = Array.from({ length: count }, (_, i) => `b${i}`)
const model = modelOn("m:latest", ...ids)
const other = modelOn("other:latest", ...ids)

const setUp = () => {
  const asked = { residency: 0, memory: 0, ids: 0, owned: 0 }
  let state: ResidencyState = "resident"
  let members: ReadonlyArray<Member> = ids.map((id) => {
    const made = backend({ url: `http://${id}:11434`, id })
    return {
      state: "active",
      backend: {
        ...made,
        get id() {
          asked.ids++
          return id
        },
      },
    }
  })
  const view = new FleetSlots(
    { members: () => members, changes: Stream.empty, setState: () => Effect.void },
    {
      adapts: false,
      residency: {
        state: () => (asked.residency++, state),
        memory: () => (asked.memory++, undefined),
      },
      catalog: { version: () => 1, peek: () => undefined },
    } as never,
  )
  return {
    asked,
    view,
    loads: (next: ResidencyState) => void (state = next),
    replace: (next: (now: ReadonlyArray<Member>) => ReadonlyArray<Member>) => void (members = next(members)),
  }
}

describe("FleetSlots", () => {
  it("finds a backend without a look at the others", () => {
    const { asked, view } = setUp()
    assert.strictEqual(view.find("b7"), view.backends[7])
    asked.ids = 0
    for (const id of ids) assert.isDefined(view.find(id))
    assert.strictEqual(view.find("nobody"), undefined)
    assert.strictEqual(asked.ids, 0)
  })

  it("finds no backend that has left, and one that has come back with its counters", () => {
    const { replace, view } = setUp()
    const first = view.find("b3")!
    first.count(model, 1)
    const all = view.backends
    replace((now) => now.slice(0, 3))
    assert.strictEqual(view.find("b3"), undefined)
    assert.isDefined(view.find("b2"))
    replace((now) => [...now, ...all.slice(3).map(({ backend }): Member => ({ backend, state: "active" }))])
    assert.strictEqual(view.find("b3"), first)
    assert.notStrictEqual(view.find("b4"), all[4])
  })

  it("asks once for what several plugins read in one ranking", () => {
    const { asked, view } = setUp()
    view.still(() => {
      for (const slots of view.owners(model)) {
        for (let i = 0; i < 4; i++) assert.strictEqual(slots.residency(model), "resident")
        for (let i = 0; i < 2; i++) assert.isUndefined(slots.memory(model))
      }
    })
    assert.deepStrictEqual([asked.residency, asked.memory], [count, count])
  })

  it("remembers nothing of another model, of another ranking, and outside of one", () => {
    const { loads, view } = setUp()
    const slots = view.find("b0")!
    const inRanking = (of = model) => view.still(() => slots.residency(of))
    assert.strictEqual(inRanking(), "resident")
    loads("absent")
    assert.strictEqual(inRanking(), "absent")
    view.still(() => {
      assert.strictEqual(slots.residency(model), "absent")
      loads("loading")
      assert.strictEqual(slots.residency(other), "loading")
    })
    assert.strictEqual(slots.residency(model), "loading")
    loads("draining")
    assert.strictEqual(slots.residency(model), "draining")
  })

  it("ends a ranking that throws, and counts one within another as the same", () => {
    const { view } = setUp()
    assert.throws(() =>
      view.still(() => {
        throw new RangeError("a scorer")
      }), "a scorer")
    assert.isUndefined(view.moment)
    const [outer, inner] = view.still(() => [view.moment, view.still(() => view.moment)])
    assert.strictEqual(outer, inner)
    assert.notStrictEqual(view.still(() => view.moment), outer)
  })
})
