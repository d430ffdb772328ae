import { assert, describe, it } from "@effect/vitest"
import { fairness } from "../../src/testing/invariants/fairness.ts"
import type { QueuePlace } from "../../src/testing/invariants/observations.ts"
import { Watch } from "../../src/testing/invariants/watch.ts"

const place = (id: string, tenant: string): QueuePlace => ({
  id,
  tenant,
  model: "m:latest",
  priority: "default",
  again: false,
  wants: "chat true undefined",
})

/** One request of `bees` waits while three of `ants` are admitted. */
const history = (raised: boolean): ReadonlyArray<string> => {
  const watch = new Watch([fairness()])
  const waits = place("b1", "bees")
  watch.tell("waiting", { place: waits, at: 0 })
  for (const id of ["a1", "a2", "a3"]) {
    const one = place(id, "ants")
    watch.tell("waiting", { place: one, at: 1 })
    watch.tell("granted", { place: one, at: 2, raised })
  }
  watch.tell("granted", { place: waits, at: 3 })
  return watch.violations.map(({ what }) => what)
}

describe("fairness", () => {
  it("sees three turns of another tenant before the first of one's own", () => {
    assert.deepStrictEqual(history(false), ["b1 of bees waited for 3 of ants and 1 of its own (m:latest)"])
  })

  it("counts no turn of requests that a more urgent one has joined: they belong to a better class", () => {
    assert.deepStrictEqual(history(true), [])
  })

  it("counts a raised request as a turn of its own tenant", () => {
    const watch = new Watch([fairness()])
    const waits = place("b1", "bees")
    const urgent = place("b2", "bees")
    watch.tell("waiting", { place: waits, at: 0 })
    watch.tell("waiting", { place: urgent, at: 0 })
    watch.tell("granted", { place: urgent, at: 1, raised: true })
    for (const id of ["a1", "a2", "a3"]) {
      const one = place(id, "ants")
      watch.tell("waiting", { place: one, at: 1 })
      watch.tell("granted", { place: one, at: 2 })
    }
    watch.tell("granted", { place: waits, at: 3 })
    assert.deepStrictEqual(watch.violations, [])
  })
})
