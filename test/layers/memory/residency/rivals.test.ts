import { assert, describe, it } from "@effect/vitest"
import { Rivals } from "../../../../src/layers/memory/residency/rivals.ts"

const of = (rivals: Rivals, key: string) => Array.from(rivals.of(key))

describe("rivals", () => {
  it("knows nothing at first", () => {
    assert.deepStrictEqual(of(new Rivals(), "a"), [])
  })

  it("who is gone after a load is a rival of what was loaded, both ways; who stayed is none", () => {
    const rivals = new Rivals()
    rivals.learn("a", ["a", "b", "c", "d"], (key) => key === "a" || key === "c")
    assert.deepStrictEqual(["a", "b", "c", "d"].map((key) => of(rivals, key)), [["b", "d"], ["a"], [], ["a"]])
  })

  it("what was loaded again and is gone is no rival of itself", () => {
    const rivals = new Rivals()
    rivals.learn("a", ["a"], () => false)
    assert.deepStrictEqual(of(rivals, "a"), [])
  })

  it("those that are there together after a load are rivals no more", () => {
    const rivals = new Rivals()
    rivals.learn("a", ["b", "c"], () => false)
    rivals.learn("b", ["a", "c"], (key) => key === "a")
    assert.deepStrictEqual(["a", "b", "c"].map((key) => of(rivals, key)), [["c"], ["c"], ["a", "b"]])
  })
})
