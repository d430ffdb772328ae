/** A fleet file that is read again: a backend gets other devices, labels or limits under the same id. */
import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Effect, FileSystem, Layer } from "effect"
import * as FileFleet from "../../../../src/layers/fleet/FileFleet.ts"
import * as MemoryVramLedger from "../../../../src/layers/memory/ledger/MemoryVramLedger.ts"
import * as PollingResidency from "../../../../src/layers/memory/residency/PollingResidency.ts"
import * as CostAwareVictimPicker from "../../../../src/plugins/victims/CostAwareVictimPicker.ts"
import { Fleet } from "../../../../src/services/Fleet.ts"
import { ModelCatalog } from "../../../../src/services/ModelCatalog.ts"
import { Residency } from "../../../../src/services/Residency.ts"
import { VramLedger } from "../../../../src/services/VramLedger.ts"
import { elapse } from "../../../../src/testing/elapse.ts"
import * as Footprints from "../../../../src/testing/footprints.ts"
import * as MockGpuProbe from "../../../../src/testing/mocks/MockGpuProbe.ts"
import * as MockModelCatalog from "../../../../src/testing/mocks/MockModelCatalog.ts"
import * as FakeOllamaApi from "../../../support/fakeOllamaApi.ts"

const gib = 1024 ** 3
const sizes = { "small:latest": 5, "big:latest": 12 }
const card = (uuid: string, size: number) =>
  MockGpuProbe.device(uuid, ByteSize.gibibytes(size), { freeBytes: ByteSize.gibibytes(size) })

/** A stack over a fleet file, and the file. */
const stack = (first: object) => {
  const state = { text: "" }
  const write = (backend: object) => {
    state.text = JSON.stringify({ backends: [{ url: "http://a", id: "a", ...backend }] })
  }
  write(first)
  const files = FileSystem.layerNoop({ readFileString: () => Effect.sync(() => state.text) })
  const layer = PollingResidency.layer({ victims: CostAwareVictimPicker.make() }).pipe(
    Layer.provideMerge(MemoryVramLedger.layer()),
    Layer.provideMerge(Layer.mergeAll(
      FakeOllamaApi.layer,
      MockGpuProbe.layer([card("g0", 16), card("g1", 16)]),
      Footprints.table(Object.fromEntries(Object.entries(sizes).map(([name, size]) => [name, size * gib]))),
      MockModelCatalog.layer([{ name: "small", owners: ["a"] }, { name: "big", owners: ["a"] }]),
      Layer.orDie(Layer.provide(FileFleet.layer("/fleet.json"), files)),
    )),
  )
  return { write, layer }
}

const at = Effect.gen(function* () {
  const { peek } = yield* ModelCatalog
  const fleet = yield* Fleet
  const ledger = yield* VramLedger
  const residency = yield* Residency
  const server = (yield* FakeOllamaApi.FakeServers).server("a")
  yield* elapse("2 seconds")
  const backend = () => fleet.members()[0]!.backend
  const charged = () =>
    Object.fromEntries(
      ledger.allocations().map((one) => [one.model, one.shares().map(({ device }) => device).join()]),
    )
  const held = () => Object.fromEntries(ledger.devices().map(({ device, held }) => [device, held > 0]))
  const load = (name: string) =>
    Effect.gen(function* () {
      residency.request(backend(), peek(name)!)
      yield* elapse("3 seconds")
      return residency.state("a", peek(name)!)
    })
  return { backend, charged, held, ledger, load, residency, server, model: (name: string) => peek(name)! }
})

describe("a fleet file that changes a backend under the same id", () => {
  it.effect("other devices: the next load is charged to them, although a request knows the backend as it was", () => {
    const { layer, write } = stack({ devices: ["g0"] })
    return Effect.gen(function* () {
      const { backend, charged, held, model, residency } = yield* at
      const before = backend()
      write({ devices: ["g1"] })
      yield* elapse("2 seconds")
      assert.deepStrictEqual(backend().devices, ["g1"])
      residency.request(before, model("small"))
      yield* elapse("3 seconds")
      assert.deepStrictEqual(charged(), { "small:latest": "g1" })
      assert.deepStrictEqual(held(), { g0: false, g1: true })
      assert.strictEqual(residency.memory("a", model("small"))?.limit, 14 * gib)
    }).pipe(Effect.provide(layer))
  })

  it.effect("other devices: what is in memory, and what is loading, is charged to them", () => {
    const { layer, write } = stack({ devices: ["g0"] })
    return Effect.gen(function* () {
      const { charged, held, load, model, residency, server } = yield* at
      assert.strictEqual(yield* load("small"), "resident")
      assert.deepStrictEqual(charged(), { "small:latest": "g0" })
      write({ devices: ["g1"] })
      yield* elapse("1500 millis")
      assert.deepStrictEqual(charged(), { "small:latest": "g1" })
      assert.deepStrictEqual(held(), { g0: false, g1: true })
      server.resident = []
      yield* elapse("20 seconds")
      server.loadMillis = 6000
      assert.strictEqual(yield* load("big"), "loading")
      write({ devices: ["g0"] })
      yield* elapse("10 seconds")
      assert.strictEqual(residency.state("a", model("big")), "resident")
      assert.deepStrictEqual(held(), { g0: true, g1: false })
    }).pipe(Effect.provide(layer))
  })

  it.effect("one device more: what is in memory stays where it is, and there is more room", () => {
    const { layer, write } = stack({ devices: ["g0"] })
    return Effect.gen(function* () {
      const { charged, load } = yield* at
      assert.strictEqual(yield* load("small"), "resident")
      write({ devices: ["g0", "g1"] })
      yield* elapse("2 seconds")
      assert.strictEqual(charged()["small:latest"], "g0")
      assert.strictEqual(yield* load("big"), "resident")
      assert.deepStrictEqual(Object.keys(charged()).sort(), ["big:latest", "small:latest"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("another label `memory`: a load that waits for room begins", () => {
    const { layer, write } = stack({ labels: { memory: "8 GiB" } })
    return Effect.gen(function* () {
      const { ledger, load, model, residency } = yield* at
      assert.strictEqual(yield* load("small"), "resident")
      const use = residency.hold("a", model("small"))
      assert.strictEqual(yield* load("big"), "loading", "it waits for the memory that the other model uses")
      assert.lengthOf(ledger.allocations(), 1)
      write({ labels: { memory: "20 GiB" } })
      yield* elapse("10 seconds")
      assert.deepStrictEqual(ledger.devices().map(({ declared }) => declared).filter(Boolean), [20 * gib])
      assert.strictEqual(residency.state("a", model("big")), "resident")
      assert.strictEqual(residency.state("a", model("small")), "resident")
      use.release()
      write({ labels: { memory: "10 GiB" } })
      yield* elapse("2 seconds")
      assert.deepStrictEqual(ledger.devices().map(({ declared }) => declared).filter(Boolean), [10 * gib])
      write({ labels: {} })
      yield* elapse("2 seconds")
      assert.deepStrictEqual(ledger.devices().map(({ declared }) => declared).filter(Boolean), [])
    }).pipe(Effect.provide(layer))
  })

  it.effect("devices in place of a label, and back", () => {
    const { layer, write } = stack({ labels: { memory: "16 GiB" } })
    return Effect.gen(function* () {
      const { charged, load } = yield* at
      assert.strictEqual(yield* load("small"), "resident")
      assert.deepStrictEqual(charged(), { "small:latest": "memory of a" })
      write({ devices: ["g1"] })
      yield* elapse("2 seconds")
      assert.deepStrictEqual(charged(), { "small:latest": "g1" })
      write({ labels: { memory: "16 GiB" } })
      yield* elapse("2 seconds")
      assert.deepStrictEqual(charged(), { "small:latest": "memory of a" })
      write({})
      yield* elapse("2 seconds")
      assert.deepStrictEqual(charged(), { "small:latest": "" }, "its memory is no longer managed")
    }).pipe(Effect.provide(layer))
  })

  it.effect("another label: the context that the backend chose before is not believed any more", () => {
    const { layer, write } = stack({ devices: ["g0"] })
    return Effect.gen(function* () {
      const { backend, ledger, load, model, residency, server } = yield* at
      assert.strictEqual(yield* load("small"), "resident")
      yield* elapse("6 seconds")
      assert.strictEqual(residency.context("a", model("small")), 4096)
      server.resident = []
      yield* elapse("6 seconds")
      assert.strictEqual(ledger.context(backend(), model("small")), 4096)
      write({ devices: ["g0"], labels: { "context-length": "65536" } })
      yield* elapse("2 seconds")
      assert.strictEqual(ledger.context(backend(), model("small")), 65_536)
      assert.strictEqual(residency.context("a", model("small")), 65_536)
    }).pipe(Effect.provide(layer))
  })

  it.effect("another weight: nothing in memory changes", () => {
    const { layer, write } = stack({ devices: ["g0"] })
    return Effect.gen(function* () {
      const { backend, charged, load, server } = yield* at
      assert.strictEqual(yield* load("small"), "resident")
      write({ devices: ["g0"], weight: 3, parallelism: 1 })
      yield* elapse("6 seconds")
      assert.strictEqual(backend().weight, 3)
      assert.deepStrictEqual(charged(), { "small:latest": "g0" })
      assert.lengthOf(server.calls.filter((call) => call.startsWith("load")), 1)
    }).pipe(Effect.provide(layer))
  })
})
