/** Contexts that Ollama chooses, and models that do not fit: Ollama loads them, so llamero must not refuse them. */
import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Effect, Fiber, Layer } from "effect"
import * as StaticFleet from "../../../../src/layers/fleet/StaticFleet.ts"
import * as MemoryVramLedger from "../../../../src/layers/memory/ledger/MemoryVramLedger.ts"
import { backend, type BackendInput } from "../../../../src/services/Fleet.ts"
import { Residency } from "../../../../src/services/Residency.ts"
import { VramLedger } from "../../../../src/services/VramLedger.ts"
import * as SimulatedFleet from "../../../../src/simulated/SimulatedFleet.ts"
import * as SimulatedGpuProbe from "../../../../src/simulated/SimulatedGpuProbe.ts"
import { elapse } from "../../../../src/testing/elapse.ts"
import * as Footprints from "../../../../src/testing/footprints.ts"
import * as MockGpuProbe from "../../../../src/testing/mocks/MockGpuProbe.ts"
import { model } from "../../../../src/testing/mocks/MockModelCatalog.ts"
import { overManaged } from "../../../support/managed.ts"
import { ask, url } from "../../../support/routers.ts"

const gib = 1024 ** 3
const { a100, Model } = SimulatedFleet

const small = Model.model({ name: "small", size: 4 * gib, blocks: 32, overhead: gib / 2, tokenizer: "chars4" })
const huge = Model.model({ name: "huge", size: 100 * gib, blocks: 80, overhead: gib, tokenizer: "chars4" })
const large = Model.model({ name: "large", size: 30 * gib, blocks: 60, overhead: gib, tokenizer: "chars4" })

const server = (options: SimulatedFleet.ServerOptions): SimulatedFleet.ServerOptions => ({
  ...a100,
  contextLength: undefined,
  parallelism: 1,
  models: [Model.llama31, small, huge, large],
  ...options,
})

const backendOf = (id: string) =>
  backend({ url: url(id), id, devices: [SimulatedGpuProbe.uuid(url(id), 0)], parallelism: 8 })

const simulated = (id: string) => Effect.map(SimulatedFleet.SimulatedFleet, ({ get }) => get(url(id)))

const chat = Effect.fnUntraced(function* (name: string, options: object = {}) {
  const body = { model: name, messages: [{ role: "user", content: "hi" }], stream: false, options }
  const answer = yield* Effect.forkChild(ask("/api/chat", body))
  for (let n = 0; n < 600 && answer.pollUnsafe() === undefined; n++) yield* elapse("500 millis")
  const { reply: { refusals, status } } = yield* Fiber.join(answer)
  assert.deepStrictEqual(refusals, [])
  yield* elapse("10 seconds")
  return status
})

const row = (id: string, name: string) =>
  Effect.map(simulated(id), ({ resident }) => resident.find((each) => each.name === name))

/** Never more is charged than the devices have, and never less than the models hold there. */
const books = Effect.fnUntraced(function* (id: string) {
  const devices = (yield* VramLedger).devices().filter(({ backends }) => backends.includes(id))
  const sum = (of: "held" | "total" | "free") => devices.reduce((all, device) => all + device[of]!, 0)
  // Each share is rounded up.
  assert.isAtMost(sum("held"), sum("total") + devices.length)
  assert.isAtLeast(sum("held"), sum("total") - sum("free"))
})

describe("a context that does not fit with all streams", () => {
  const eight = server({ parallelism: 8 })

  it.effect("is loaded as Ollama loads it: a part in system memory", () =>
    Effect.gen(function* () {
      yield* elapse("2 seconds")
      for (let n = 0; n < 2; n++) {
        assert.strictEqual(yield* chat("llama3.1:8b"), 200)
        const found = yield* row("a", "llama3.1:8b")
        assert.isBelow(found!.vram, found!.size)
        yield* books("a")
        // Another model finds room again, and takes only its own.
        assert.strictEqual(yield* chat("small", { num_ctx: 4096 }), 200)
        assert.isUndefined(yield* row("a", "llama3.1:8b"))
        yield* books("a")
        assert.isAbove((yield* VramLedger).room(backendOf("a"))!, 60 * gib)
      }
    }).pipe(Effect.provide(overManaged({ a: eight }))))

  it.effect("is the next lower one, if Ollama goes down to it", () =>
    Effect.gen(function* () {
      yield* elapse("2 seconds")
      const [ledger, residency] = [yield* VramLedger, yield* Residency]
      assert.strictEqual(yield* chat("llama3.1:8b"), 200)
      const shown = residency.list("a").find((one) => one.model === "llama3.1:8b")
      assert.deepInclude(shown, { contextLength: 32_768, state: "resident" })
      assert.strictEqual(shown!.sizeVram, shown!.size)
      yield* books("a")
      const charged = ledger.allocations().find((one) => one.model === "llama3.1:8b")!.shares()[0]!.bytes
      assert.isAtLeast(charged, shown!.sizeVram!)
      assert.isAtMost(charged, shown!.sizeVram! * 1.08)
      // So there is room for others beside it.
      assert.strictEqual(yield* chat("small", { num_ctx: 4096 }), 200)
      assert.lengthOf(residency.list("a"), 2)
      yield* books("a")
      assert.strictEqual(yield* chat("llama3.1:8b"), 200)
      assert.deepInclude((yield* simulated("a")).counts, { loads: 2, reloads: 0 })
    }).pipe(Effect.provide(overManaged({ a: { ...eight, systemMemory: "32 GiB" } }))))

  it.effect("is loaded also if the client asks for it", () =>
    Effect.gen(function* () {
      yield* elapse("2 seconds")
      assert.strictEqual(yield* chat("llama3.1:8b", { num_ctx: 131_072 }), 200)
      assert.isBelow((yield* row("a", "llama3.1:8b"))!.vram, 80 * gib)
      yield* books("a")
    }).pipe(Effect.provide(overManaged({ a: eight }))))
})

describe("a model that is larger than every card", () => {
  for (const gpus of [["24 GiB"], ["24 GiB", "24 GiB"], ["16 GiB", "24 GiB", "8 GiB"]] as const) {
    it.effect(`is loaded on ${gpus.join(" and ")}, and again after another model`, () =>
      Effect.gen(function* () {
        yield* elapse("2 seconds")
        for (const name of ["huge", "small", "huge"]) {
          assert.strictEqual(yield* chat(name, { num_ctx: 4096 }), 200)
          yield* books("a")
        }
        const found = yield* row("a", "huge:latest")
        assert.isAbove(found!.vram, 15 * gib)
        assert.isBelow(found!.vram, found!.size)
        assert.lengthOf((yield* Residency).spills("a"), 1)
      }).pipe(Effect.provide(overManaged({ a: server({ gpus }) }))))
  }

  it.effect("is loaded where it fits, if it fits anywhere, and nowhere else", () =>
    Effect.gen(function* () {
      yield* elapse("2 seconds")
      for (let n = 0; n < 3; n++) assert.strictEqual(yield* chat("large", { num_ctx: 4096 }), 200)
      assert.isUndefined(yield* row("a", "large:latest"))
      assert.isUndefined(yield* row("b", "large:latest"))
      const found = yield* row("c", "large:latest")
      assert.strictEqual(found!.vram, found!.size)
      const ledger = yield* VramLedger
      const refused = ledger.reserve(backendOf("a"), model({ name: "large", owners: ["a", "b", "c"] }), 4096)
      assert.deepInclude(refused, { _tag: "NoRoom", never: true })
    }).pipe(Effect.provide(overManaged({
      a: server({ gpus: ["24 GiB"] }),
      b: server({ gpus: ["24 GiB"] }),
      c: server({ gpus: ["80 GiB"] }),
    }))))

  it.effect("waits until the memory of a model that is in use is free", () =>
    Effect.gen(function* () {
      yield* elapse("2 seconds")
      const long = { model: "small", prompt: "hi", stream: false, options: { num_predict: 2000, num_ctx: 4096 } }
      const first = yield* Effect.forkChild(ask("/api/generate", long))
      yield* elapse("6 seconds")
      assert.strictEqual(yield* chat("huge", { num_ctx: 4096 }), 200)
      assert.strictEqual((yield* Fiber.join(first)).reply.status, 200)
      yield* books("a")
    }).pipe(Effect.provide(overManaged({ a: server({ gpus: ["24 GiB"] }) }))))
})

const inputs: ReadonlyArray<BackendInput & object> = [
  { url: "http://a", id: "a", devices: ["g0"] },
  { url: "http://b", id: "b", devices: ["g0", "g1"] },
  { url: "http://cpu", id: "cpu", devices: ["system@cpu"] },
  { url: "http://said", id: "said", devices: ["g0"], labels: { "context-length": "8192" } },
]
const card = (uuid: string, total: number) =>
  MockGpuProbe.device(uuid, ByteSize.gibibytes(total), { freeBytes: ByteSize.gibibytes(total) })
const mocked = (sizes: Readonly<Record<string, number>>) =>
  MemoryVramLedger.layer().pipe(
    Layer.provideMerge(Layer.mergeAll(
      MockGpuProbe.layer([card("g0", 24), card("g1", 24), card("system@cpu", 256)]),
      Footprints.table(Object.fromEntries(Object.entries(sizes).map(([name, size]) => [`${name}:latest`, size * gib]))),
      Layer.orDie(StaticFleet.layer(inputs)),
    )),
  )

describe("the ledger", () => {
  it.effect("knows the context that Ollama would choose: system memory does not count for it", () =>
    Effect.gen(function* () {
      const ledger = yield* VramLedger
      const of = (index: number, contextTrained = 131_072) =>
        ledger.context(backend(inputs[index]!), { ...model({ name: "m", owners: ["a", "b", "cpu"] }), contextTrained })
      assert.strictEqual(of(0), 32_768)
      assert.strictEqual(of(1), 131_072)
      assert.strictEqual(of(2), 4096)
      assert.strictEqual(of(3), 8192)
      assert.strictEqual(of(2, 2048), 2048)
    }).pipe(Effect.provide(mocked({ m: 1 }))))

  it.effect("refuses what does not fit into system memory: there is nothing to spill into", () =>
    Effect.gen(function* () {
      const ledger = yield* VramLedger
      const made = ledger.reserve(backend(inputs[2]!), model({ name: "m", owners: ["cpu"] }))
      assert.deepInclude(made, { _tag: "NoRoom", never: true })
    }).pipe(Effect.provide(mocked({ m: 300 }))))

  it.effect("charges a model that fits nowhere all memory, when nothing else is charged, and then what it has taken", () =>
    Effect.gen(function* () {
      const ledger = yield* VramLedger
      const [a, big, other] = [
        backend(inputs[0]!),
        model({ name: "m", owners: ["a"] }),
        model({ name: "n", owners: ["a"] }),
      ]
      assert.strictEqual(ledger.needs(a, big), ledger.limit(a))
      const small = ledger.reserve(a, other)
      assert(!("_tag" in small))
      assert.deepInclude(ledger.reserve(a, big), { _tag: "NoRoom", never: false, freeing: [] })
      small.move("loading")
      small.move("resident")
      yield* ledger.refresh
      const waits = ledger.reserve(a, big)
      assert.deepInclude(waits, { freeing: [{ devices: ["g0"], bytes: 2 * gib }], never: false })
      small.move("gone")
      const made = ledger.reserve(a, big)
      assert(!("_tag" in made))
      assert.deepStrictEqual(made.shares(), [{ device: "g0", bytes: 22 * gib }])
      made.move("loading")
      made.move("resident")
      ledger.observe(made, big, { size: 100 * gib, sizeVram: 12 * gib, contextLength: 4096, automatic: true })
      const [share] = made.shares()
      assert.isAtLeast(share!.bytes, 12 * gib)
      assert.isAtMost(share!.bytes, 13 * gib)
      assert.strictEqual(ledger.context(a, big), 4096)
    }).pipe(Effect.provide(mocked({ m: 100, n: 2 }))))

  it.effect("a model that fits on no single device, and not on all because each has buffers of its own, is not refused", () =>
    Effect.gen(function* () {
      const ledger = yield* VramLedger
      const b = backend(inputs[1]!)
      const made = ledger.reserve(b, model({ name: "m", owners: ["b"] }))
      assert(!("_tag" in made))
      assert.strictEqual(made.shares().reduce((sum, { bytes }) => sum + bytes, 0), 44 * gib)
    }).pipe(Effect.provide(mocked({ m: 45 }))))
})
