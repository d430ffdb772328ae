/** Residency where memory is managed: which models may be unloaded, and which loads wait for others. */
import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Effect, Fiber, Layer } from "effect"
import * as StaticFleet from "../../../../src/layers/fleet/StaticFleet.ts"
import * as MemoryVramLedger from "../../../../src/layers/memory/ledger/MemoryVramLedger.ts"
import * as PollingResidency from "../../../../src/layers/memory/residency/PollingResidency.ts"
import * as CostAwareVictimPicker from "../../../../src/plugins/victims/CostAwareVictimPicker.ts"
import { backend } from "../../../../src/services/Fleet.ts"
import { ModelCatalog } from "../../../../src/services/ModelCatalog.ts"
import { Residency } from "../../../../src/services/Residency.ts"
import { elapse } from "../../../../src/testing/elapse.ts"
import * as Footprints from "../../../../src/testing/footprints.ts"
import * as MockGpuProbe from "../../../../src/testing/mocks/MockGpuProbe.ts"
import * as MockModelCatalog from "../../../../src/testing/mocks/MockModelCatalog.ts"
import * as FakeOllamaApi from "../../../support/fakeOllamaApi.ts"

const gib = 1024 ** 3
const owners = ["a"]
const input = { url: "http://a", id: "a", devices: ["g0"] }
const a = backend(input)
const sizes = { "small:latest": 5, "m-base:latest": 6, "m-tuned:latest": 6, "big:latest": 12 }
/** 16 GiB less the reserve of 2 GiB: 14 GiB. */
const card = MockGpuProbe.device("g0", ByteSize.gibibytes(16), { freeBytes: ByteSize.gibibytes(16) })
const managed = PollingResidency.layer({ victims: CostAwareVictimPicker.make() }).pipe(
  Layer.provideMerge(MemoryVramLedger.layer()),
  Layer.provideMerge(Layer.mergeAll(
    FakeOllamaApi.layer,
    MockGpuProbe.layer([card]),
    Footprints.table(Object.fromEntries(Object.entries(sizes).map(([name, size]) => [name, size * gib]))),
    MockModelCatalog.layer([
      { name: "small", owners },
      { name: "m-base", owners, blob: "weights" },
      { name: "m-tuned", owners, blob: "weights" },
      { name: "big", owners },
    ]),
    Layer.orDie(StaticFleet.layer([input])),
  )),
)

const setup = Effect.gen(function* () {
  const { peek } = yield* ModelCatalog
  const fake = (yield* FakeOllamaApi.FakeServers).server("a")
  const residency = yield* Residency
  yield* elapse("1 second")
  const load = (name: string) =>
    Effect.gen(function* () {
      residency.request(a, peek(name)!)
      yield* elapse("3 seconds")
      assert.strictEqual(residency.state("a", peek(name)!), "resident")
    })
  const calls = (what: string) => fake.calls.filter((call) => call.startsWith(what))
  return { residency, fake, calls, load, model: (name: string) => peek(name)! }
})

describe("a draining model", () => {
  it.effect("stays while a request uses it that came at the last moment, and is unloaded when that request ends", () =>
    Effect.gen(function* () {
      const { calls, load, model, residency } = yield* setup
      yield* load("small")
      assert.isTrue(residency.unload(a, model("small")))
      const request = residency.hold("a", model("small"))
      yield* elapse("20 seconds")
      assert.deepStrictEqual(calls("unload"), [])
      assert.strictEqual(residency.state("a", model("small")), "draining")
      request.release()
      const another = residency.hold("a", model("small"))
      yield* elapse("20 seconds")
      assert.deepStrictEqual(calls("unload"), [])
      another.release()
      yield* elapse("5 seconds")
      assert.deepStrictEqual(calls("unload"), ["unload small:latest"])
      assert.strictEqual(residency.state("a", model("small")), "absent")
    }).pipe(Effect.provide(managed)))

  it.effect("stays if it was pinned at the last moment, and is not unloaded again if it has gone by itself", () =>
    Effect.gen(function* () {
      const { calls, fake, load, model, residency } = yield* setup
      yield* load("small")
      assert.isTrue(residency.unload(a, model("small")))
      const pin = residency.pin("a", model("small"))
      yield* elapse("2 seconds")
      assert.strictEqual(residency.state("a", model("small")), "resident")
      pin.release()
      assert.isTrue(residency.unload(a, model("small")))
      fake.resident = []
      residency.forget("a", model("small"))
      yield* elapse("2 seconds")
      assert.deepStrictEqual(calls("unload"), [])
    }).pipe(Effect.provide(managed)))

  for (const [first, again] of [["small", "small"], ["m-base", "m-tuned"]] as const) {
    it.effect(`a model that was gone and is back is still in use: ${first} as ${again}`, () =>
      Effect.gen(function* () {
        const { calls, fake, load, model, residency } = yield* setup
        yield* load(first)
        const request = residency.hold("a", model(first))
        fake.resident = []
        residency.forget("a", model(first))
        assert.strictEqual(residency.state("a", model(first)), "absent")
        yield* load(again)
        assert.isFalse(residency.unload(a, model(again)))
        request.release()
        assert.isTrue(residency.unload(a, model(again)))
        yield* elapse("5 seconds")
        assert.deepStrictEqual(calls("unload"), [`unload ${again}:latest`])
      }).pipe(Effect.provide(managed)))
  }
})

describe("a model that left memory in use and came back under another name", () => {
  it.effect("is unloaded for a load out of patience when the request under the first name has ended", () =>
    Effect.gen(function* () {
      const { calls, fake, load, model, residency } = yield* setup
      yield* load("m-base")
      const request = residency.hold("a", model("m-base"))
      fake.resident = []
      residency.forget("a", model("m-base"))
      yield* load("m-tuned")
      residency.request(a, model("big"))
      yield* elapse("12 seconds")
      assert.strictEqual(residency.state("a", model("m-tuned")), "draining")
      assert.deepStrictEqual(calls("unload"), [])
      request.release()
      yield* elapse("10 seconds")
      assert.deepStrictEqual(calls("unload"), ["unload m-tuned:latest"])
      assert.strictEqual(residency.state("a", model("big")), "resident")
    }).pipe(Effect.provide(managed)))
})

describe("a load", () => {
  it.effect("is joined by all requests for it, also while it is queued, and fails for all of them at once", () =>
    Effect.gen(function* () {
      const { calls, fake, model, residency } = yield* setup
      fake.loadFailure = { status: 500, description: "no" }
      const names = ["small", "small", "m-base", "small", "m-base"]
      const waiting = yield* Effect.forEach(
        names,
        (name) => Effect.forkChild(Effect.flip(residency.load(a, model(name))), { startImmediately: true }),
      )
      assert.lengthOf(residency.list("a"), 2)
      yield* elapse("10 seconds")
      for (const fiber of waiting) assert.strictEqual((yield* Fiber.join(fiber)).description, "no")
      assert.deepStrictEqual(calls("load"), ["load small:latest", "load m-base:latest"])
    }).pipe(Effect.provide(managed)))

  it.effect("that holds others back does not hold back a load whose model has become resident", () =>
    Effect.gen(function* () {
      const { calls, fake, load, model, residency } = yield* setup
      yield* load("m-base")
      const request = residency.hold("a", model("m-base"))
      residency.request(a, model("big"))
      // The load is out of patience: the busy model is drained, and all other loads wait for that.
      yield* elapse("12 seconds")
      assert.strictEqual(residency.state("a", model("m-base")), "draining")
      const waiting = yield* Effect.forkChild(residency.load(a, model("small")), { startImmediately: true })
      yield* elapse("2 seconds")
      assert.strictEqual(residency.state("a", model("small")), "loading")
      // Somebody loads the model past the router.
      fake.resident = [...fake.resident, FakeOllamaApi.psRow("small:latest", 10 ** 9)]
      yield* elapse("6 seconds")
      yield* Fiber.join(waiting)
      assert.deepStrictEqual(calls("load"), ["load m-base:latest"])
      assert.strictEqual(residency.state("a", model("big")), "loading")
      request.release()
    }).pipe(Effect.provide(managed)))

  it.effect("lets others pass while no model may be unloaded for it, however long it has waited, and starts when one may", () =>
    Effect.gen(function* () {
      const { calls, load, model, residency } = yield* setup
      yield* load("m-base")
      const pin = residency.pin("a", model("m-base"))
      residency.request(a, model("big"))
      yield* elapse("30 seconds")
      yield* load("small")
      assert.deepStrictEqual(calls("unload"), [])
      assert.strictEqual(residency.state("a", model("big")), "loading")
      pin.release()
      yield* elapse("20 seconds")
      assert.strictEqual(residency.state("a", model("big")), "resident")
      assert.deepStrictEqual(calls("unload").toSorted(), ["unload m-base:latest", "unload small:latest"])
    }).pipe(Effect.provide(managed)))
})
