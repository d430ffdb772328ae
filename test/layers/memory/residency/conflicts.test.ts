import { assert, describe, it } from "@effect/vitest"
import { Conflicts } from "../../../../src/layers/memory/residency/conflicts.ts"

const of = (conflicts: Conflicts, key: string) => Array.from(conflicts.of(key))

describe("Conflicts", () => {
  it("has no conflicts at first", () => {
    assert.deepStrictEqual(of(new Conflicts(), "a"), [])
  })

  it("a model that is gone after a load conflicts with the loaded model, in both directions; a model that stayed does not", () => {
    const conflicts = new Conflicts()
    conflicts.learn("a", ["a", "b", "c", "d"], (key) => key === "a" || key === "c")
    assert.deepStrictEqual(["a", "b", "c", "d"].map((key) => of(conflicts, key)), [["b", "d"], ["a"], [], ["a"]])
  })

  it("a model that was loaded again and is gone does not conflict with itself", () => {
    const conflicts = new Conflicts()
    conflicts.learn("a", ["a"], () => false)
    assert.deepStrictEqual(of(conflicts, "a"), [])
  })

  it("two models that are resident together after a load no longer conflict", () => {
    const conflicts = new Conflicts()
    conflicts.learn("a", ["b", "c"], () => false)
    conflicts.learn("b", ["a", "c"], (key) => key === "a")
    assert.deepStrictEqual(["a", "b", "c"].map((key) => of(conflicts, key)), [["c"], ["c"], ["a", "b"]])
  })
})
