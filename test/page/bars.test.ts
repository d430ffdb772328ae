import { assert, describe, it } from "@effect/vitest"
import { bar, palette } from "../../page/bars.ts"
import type { DeviceState } from "../../page/state.ts"
import { device as named } from "../support/pageState.ts"

const device = (fields: Partial<DeviceState>): DeviceState => named("GPU-a", { backends: ["a"], ...fields })

const charge = (model: string, bytes: number, state: DeviceState["models"][number]["state"] = "resident") => ({
  backend: "a",
  model,
  bytes,
  state,
})

const told = (fields: Partial<DeviceState>) =>
  bar(device(fields)).parts.map(({ bytes, kind, name }) => [kind, name, bytes])
const sumOf = (fields: Partial<DeviceState>) => bar(device(fields)).parts.reduce((sum, { share }) => sum + share, 0)

describe("the bar of a device", () => {
  it("has models by name, held memory, other processes, the reserve and what is free, in this order", () => {
    const fields = {
      foreign: 10,
      reserve: 5,
      models: [charge("z", 20), charge("b", 30, "loading"), charge("a", 15, "draining")],
    }
    assert.deepStrictEqual(told(fields), [
      ["model", "a", 15],
      ["held", "b", 30],
      ["model", "z", 20],
      ["others", "other processes", 10],
      ["reserve", "reserve", 5],
      ["free", "free", 20],
    ])
    assert.closeTo(sumOf(fields), 1, 1e-9)
    assert.strictEqual(bar(device(fields)).used, 75)
  })

  it("a model that two backends have on one device is one part; what is gone is none", () => {
    const models = [charge("a", 20), { ...charge("a", 22), backend: "b" }, charge("c", 9, "gone")]
    assert.deepStrictEqual(told({ models }), [["model", "a", 42], ["free", "free", 58]])
  })

  it("more than the device has is scaled, and nothing is free or reserved", () => {
    const fields = { reserve: 5, foreign: 50, models: [charge("a", 100)] }
    assert.deepStrictEqual(told(fields), [["model", "a", 100], ["others", "other processes", 50]])
    assert.closeTo(sumOf(fields), 1, 1e-9)
  })

  it("the size is the reading, else what is declared, else the capacity; without any, nothing is said to be free", () => {
    assert.strictEqual(bar(device({ total: null, declared: 80, capacity: 70 })).total, 80)
    assert.strictEqual(bar(device({ total: null, capacity: 70 })).total, 70)
    const unknown = bar(device({ total: null, models: [charge("a", 5)] }))
    assert.strictEqual(unknown.total, undefined)
    assert.deepStrictEqual(unknown.parts.map(({ kind, share }) => [kind, share]), [["model", 1]])
    assert.strictEqual(bar(device({ total: null })).words, "its size is not known")
  })

  it("says itself in words", () => {
    assert.strictEqual(
      bar(device({ total: 2048, models: [charge("a", 1024, "reserved")] })).words,
      "1.0 KiB of 2.0 KiB: a (held) 1.0 KiB, free 1.0 KiB",
    )
  })
})

describe("the colours of models", () => {
  it("stay, and the first ones differ", () => {
    const hueOf = palette()
    const first = ["a", "b", "c", "d"].map(hueOf)
    assert.strictEqual(new Set(first).size, 4)
    assert.deepStrictEqual(["a", "b", "c", "d"].map(hueOf), first)
  })
})
