import { assert, describe, it } from "@effect/vitest"
import { chooseBackends } from "../../../../src/layers/memory/prewarm/warmUp.ts"
import { backend } from "../../../../src/services/Fleet.ts"
import { modelOn } from "../../../support/demands.ts"

const count = 120
const all = Array.from({ length: count }, (_, i) => backend({ url: `http://b${i}:11434`, id: `b${i}` }))
const model = modelOn("m:latest", ...all.map(({ id }) => id))

const numbers = (seed: number) => {
  let state = seed
  return (below: number) => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % below
}

/** A fleet whose backends differ in everything that counts. `lists` counts the looks at what is in memory. */
const fleetOf = (seed: number, resident: (next: (below: number) => number) => boolean) => {
  const next = numbers(seed)
  const facts = new Map(all.map(({ id }) => [id, {
    resident: resident(next),
    failed: next(3) === 0,
    room: next(3),
    models: next(4),
  }]))
  const asked = { lists: 0 }
  const services = {
    fleet: { members: () => all.map((backend) => ({ backend, state: "active" })) },
    health: { status: () => ({ state: "healthy" }) },
    ledger: { room: ({ id }: { id: string }) => facts.get(id)!.room || undefined },
    residency: {
      state: (id: string) => facts.get(id)!.resident ? "resident" : "absent",
      failure: (id: string) => facts.get(id)!.failed ? {} : undefined,
      list: (id: string) => (asked.lists++, { length: facts.get(id)!.models }),
    },
  }
  const sorted = all.toSorted((x, y) => {
    const [a, b] = [facts.get(x.id)!, facts.get(y.id)!]
    return Number(b.resident) - Number(a.resident) || Number(a.failed) - Number(b.failed) || b.room - a.room ||
      a.models - b.models
  })
  const choose = (replicas?: number) =>
    chooseBackends(services as never, model, { model: "m", replicas }).map(({ id }) => id)
  return { asked, choose, sorted: sorted.map(({ id }) => id) }
}

describe("the backends for a target", () => {
  it("are the first ones of the whole order, for any number of replicas", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { choose, sorted } = fleetOf(seed, (next) => next(10) === 0)
      for (const replicas of [undefined, 1, 2, 4, 5, 50, 500]) {
        assert.deepStrictEqual(choose(replicas), sorted.slice(0, replicas ?? 1), `seed ${seed}, ${replicas} replicas`)
      }
    }
  })

  it("are found without a look at what is in the memory of each, where the model is in memory already", () => {
    let first = true
    const { asked, choose, sorted } = fleetOf(3, () => first && !(first = false))
    assert.deepStrictEqual(choose(1), sorted.slice(0, 1))
    assert.strictEqual(asked.lists, 0)
  })
})
