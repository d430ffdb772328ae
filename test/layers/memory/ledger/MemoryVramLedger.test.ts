import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Context, Effect, Fiber, Layer } from "effect"
import * as StaticFleet from "../../../../src/layers/fleet/StaticFleet.ts"
import * as MemoryVramLedger from "../../../../src/layers/memory/ledger/MemoryVramLedger.ts"
import { backend } from "../../../../src/services/Fleet.ts"
import { GpuProbe, Timeout } from "../../../../src/services/GpuProbe.ts"
import { Residency } from "../../../../src/services/Residency.ts"
import { RouterEvents } from "../../../../src/services/RouterEvents.ts"
import { type Allocation, type NoRoom, VramLedger } from "../../../../src/services/VramLedger.ts"
import * as SimulatedFleet from "../../../../src/simulated/SimulatedFleet.ts"
import * as VramLedgerContract from "../../../../src/testing/contracts/VramLedger.ts"
import { elapse } from "../../../../src/testing/elapse.ts"
import * as Footprints from "../../../../src/testing/footprints.ts"
import * as MockGpuProbe from "../../../../src/testing/mocks/MockGpuProbe.ts"
import { model } from "../../../../src/testing/mocks/MockModelCatalog.ts"
import { holds } from "../../../support/checks.ts"
import { overManaged } from "../../../support/managed.ts"
import { ask, url } from "../../../support/routers.ts"

const gib = 1024 ** 3
const inputs = [
  { url: "http://a", id: "a", devices: ["g0", "g1"] },
  { url: "http://b", id: "b", devices: ["g1"] },
  { url: "http://c", id: "c", labels: { memory: "12 GiB" } },
]
const [a, b, c] = [backend(inputs[0]!), backend(inputs[1]!), backend(inputs[2]!)]
const one = (name: string) => model({ name, owners: ["a", "b", "c"] })
const device = (uuid: string, total: number, free: number) =>
  MockGpuProbe.device(uuid, ByteSize.gibibytes(total), { freeBytes: ByteSize.gibibytes(free) })
const both = [device("g0", 24, 24), device("g1", 16, 16)]
const stack = (sizes: Readonly<Record<string, number>>) =>
  MemoryVramLedger.layer().pipe(
    Layer.provideMerge(Layer.mergeAll(
      MockGpuProbe.layer(both),
      Footprints.table(Object.fromEntries(Object.entries(sizes).map(([name, size]) => [`${name}:latest`, size * gib]))),
      Layer.orDie(StaticFleet.layer(inputs)),
    )),
  )

holds(
  "MemoryVramLedger is a VramLedger",
  VramLedgerContract.contract(
    MemoryVramLedger.layer().pipe(Layer.provide(Layer.mergeAll(
      MockGpuProbe.layer([device("ga", 24, 24), device("gb", 24, 24)]),
      Footprints.table({ "m:latest": gib, "n:latest": gib }),
      Layer.orDie(
        StaticFleet.layer([{ url: "http://a", id: "a", devices: ["ga"] }, {
          url: "http://b",
          id: "b",
          devices: ["gb"],
        }]),
      ),
    ))),
  ),
)

const isRoom = (made: Allocation | NoRoom): made is Allocation => !("_tag" in made)
const loaded = (made: Allocation | NoRoom): Allocation => {
  assert(isRoom(made), "_tag" in made ? made.reason : "")
  made.move("loading")
  made.move("resident")
  return made
}

class Overlapping extends Context.Service<Overlapping, { millis: number; free: number }>()("test/Overlapping") {}

/** A probe that reads at once and answers later. */
const overlapping = MemoryVramLedger.layer({ interval: "1 hour" }).pipe(
  Layer.provide(Layer.effect(
    GpuProbe,
    Effect.map(Overlapping, (world) =>
      GpuProbe.of({
        source: "overlapping",
        read: Effect.suspend(() => {
          const devices = [device("g0", 24, 24), device("g1", 16, world.free)]
          return Effect.delay(Effect.succeed({ source: "overlapping", passedOver: [], devices }), world.millis)
        }),
      })),
  )),
  Layer.provide(Footprints.table({ "m:latest": gib })),
  Layer.provideMerge(Layer.sync(Overlapping, () => ({ millis: 0, free: 16 }))),
  Layer.provide(Layer.orDie(StaticFleet.layer(inputs))),
)

describe("MemoryVramLedger", () => {
  it.effect("charges the device with the most room, several only if no single one is large enough, or what is declared", () =>
    Effect.gen(function* () {
      const ledger = yield* VramLedger
      const readings = yield* MockGpuProbe.MockReadings
      yield* readings.set([device("g0", 24, 14), device("g1", 16, 16)])
      yield* ledger.refresh
      assert.deepStrictEqual(loaded(ledger.reserve(a, one("m"))).shares(), [{ device: "g1", bytes: 6 * gib }])
      // Ollama may have put it on the other device: no other load before a reading of both.
      assert.isFalse(isRoom(ledger.reserve(a, one("m"))))
      yield* readings.set([device("g0", 24, 24)])
      yield* ledger.refresh
      assert.isFalse(isRoom(ledger.reserve(b, one("m"))))
      yield* readings.set([device("g0", 24, 24), device("g1", 16, 10)])
      yield* ledger.refresh
      assert.deepStrictEqual(loaded(ledger.reserve(a, one("p"))).shares(), [{ device: "g0", bytes: 13 * gib }])
      yield* readings.set([device("g0", 24, 11), device("g1", 16, 10)])
      yield* ledger.refresh
      const big = ledger.reserve(a, one("q"))
      assert(!isRoom(big))
      assert.deepStrictEqual(big.freeing, [{ devices: ["g0", "g1"], bytes: 13 * gib }])
      for (const each of ledger.allocations()) each.move("gone")
      yield* readings.set(both)
      yield* ledger.refresh
      const split = loaded(ledger.reserve(a, one("q"))).shares()
      assert.deepStrictEqual(split.map(({ device }) => device), ["g0", "g1"])
      assert.strictEqual(split.reduce((sum, { bytes }) => sum + bytes, 0), 30 * gib)
      assert.isTrue(isRoom(ledger.reserve(c, one("m"))))
      const never = ledger.reserve(c, one("p"))
      assert(!isRoom(never))
      assert.isTrue(never.never)
    }).pipe(Effect.provide(stack({ m: 6, p: 13, q: 30 }))))

  it.effect("memory of other processes is shown and stops new loads, and a failed reading raises nothing", () =>
    Effect.gen(function* () {
      const ledger = yield* VramLedger
      const readings = yield* MockGpuProbe.MockReadings
      const status = () => ledger.devices().find(({ device }) => device === "g1")!
      const held = loaded(ledger.reserve(b, one("m")))
      yield* readings.set([device("g0", 24, 24), device("g1", 16, 3)])
      yield* ledger.refresh
      assert.deepInclude(status(), { foreign: 7 * gib, held: 6 * gib, capacity: 7 * gib })
      assert.isFalse(isRoom(ledger.reserve(b, one("n"))))
      yield* readings.set(new Timeout({ description: "the driver hangs" }))
      yield* ledger.refresh
      assert.include(status().failure, "the driver hangs")
      assert.strictEqual(status().capacity, 7 * gib)
      yield* readings.set([device("g0", 24, 24), device("g1", 16, 10)])
      yield* ledger.refresh
      assert.strictEqual(status().capacity, 14 * gib)
      assert.isTrue(isRoom(ledger.reserve(b, one("n"))))
      held.move("gone")
    }).pipe(Effect.provide(stack({ m: 6, n: 2 }))))

  it.effect("memory that is being released stays charged until it is free, or for 5 seconds", () =>
    Effect.gen(function* () {
      const ledger = yield* VramLedger
      const readings = yield* MockGpuProbe.MockReadings
      const held = () => ledger.devices().find(({ device }) => device === "g1")!.held
      for (const back of [true, false]) {
        const allocation = loaded(ledger.reserve(b, one("m")))
        yield* readings.set([device("g0", 24, 24), device("g1", 16, 10)])
        yield* ledger.refresh
        allocation.move("releasing")
        yield* elapse("1 second")
        assert.strictEqual(held(), 6 * gib)
        if (back) yield* readings.set(both)
        yield* elapse("500 millis")
        assert.strictEqual(held(), back ? 0 : 6 * gib)
        yield* elapse("4 seconds")
        assert.strictEqual(held(), 0)
      }
    }).pipe(Effect.provide(stack({ m: 6 }))))

  it.effect("without readings, memory released by a backend with several devices counts as free on none of them", () =>
    Effect.gen(function* () {
      const ledger = yield* VramLedger
      const readings = yield* MockGpuProbe.MockReadings
      const room = (on: typeof a) => ledger.room(on)
      // Loaded without llamero, and all of it is on the first device.
      yield* readings.set([device("g0", 24, 12), device("g1", 16, 10)])
      const adopted = ledger.adopt(a, "m:latest", {
        size: 6 * gib,
        sizeVram: 6 * gib,
        contextLength: 4096,
        automatic: false,
      })
      yield* ledger.refresh
      const alone = loaded(ledger.reserve(b, one("m")))
      ledger.observe(alone, undefined, { size: 5 * gib, sizeVram: 5 * gib, contextLength: 4096, automatic: true })
      yield* readings.set([device("g0", 24, 12), device("g1", 16, 5)])
      yield* ledger.refresh
      assert.strictEqual(room(b), 3 * gib)
      yield* readings.set(new Timeout({ description: "the driver hangs" }))
      adopted.move("releasing")
      yield* elapse("6 seconds")
      assert.strictEqual(room(b), 3 * gib)
      // With one device, the memory that was certainly there is free again, and no more.
      alone.move("releasing")
      yield* elapse("6 seconds")
      assert.strictEqual(room(b), 8 * gib)
    }).pipe(Effect.provide(stack({ m: 6 }))))

  it.effect("of two readings that overlap, the one that began later counts", () =>
    Effect.gen(function* () {
      const [ledger, world] = [yield* VramLedger, yield* Overlapping]
      const free = () => ledger.devices().find(({ device }) => device === "g1")!.free
      world.millis = 1500
      const slow = yield* Effect.forkChild(ledger.refresh, { startImmediately: true })
      Object.assign(world, { millis: 0, free: 4 })
      yield* ledger.refresh
      assert.strictEqual(free(), 4 * gib)
      yield* elapse("2 seconds")
      yield* Fiber.join(slow)
      assert.strictEqual(free(), 4 * gib)
    }).pipe(Effect.provide(overlapping)))
})

const { a100, Model } = SimulatedFleet
const large = (name: string) => Model.model({ name, size: 20 * gib, blocks: 32, overhead: 0, tokenizer: "chars4" })
const server: SimulatedFleet.ServerOptions = {
  ...a100,
  gpus: ["40 GiB"],
  models: [large("x"), large("y")],
  decodeRate: 10,
}
const simulated = Effect.map(SimulatedFleet.SimulatedFleet, ({ get }) => get(url("a")))

describe("residency over the ledger", () => {
  it.effect("a busy model is drained for a waiting one, and unloaded only after its last answer", () =>
    Effect.gen(function* () {
      yield* elapse("2 seconds")
      const long = { model: "x", prompt: "hi", stream: false, options: { num_predict: 300 } }
      const first = yield* Effect.forkChild(ask("/api/generate", { ...long, options: { num_predict: 300 } }))
      yield* elapse("15 seconds")
      const second = yield* Effect.forkChild(ask("/api/generate", { ...long, model: "y" }))
      const residency = yield* Residency
      yield* elapse("5 seconds")
      assert.deepStrictEqual(residency.list("a").map(({ state }) => state).toSorted(), ["loading", "resident"])
      for (let i = 0; i < 200 && first.pollUnsafe() === undefined; i++) {
        assert.deepInclude((yield* simulated).counts, { unloads: 0 })
        yield* elapse("500 millis")
      }
      yield* elapse("60 seconds")
      assert.isDefined(second.pollUnsafe())
      assert.deepStrictEqual((yield* simulated).resident.map(({ name }) => name), ["y:latest"])
    }).pipe(Effect.provide(overManaged({
      a: {
        ...server,
        models: [
          Model.model({ ...large("x"), answer: 300 }),
          Model.model({ ...large("y"), answer: 300 }),
        ],
      },
    }))))

  it.effect("adopts models loaded without llamero, notices unloads, reports spills", () =>
    Effect.gen(function* () {
      yield* elapse("2 seconds")
      const ledger = yield* VramLedger
      const residency = yield* Residency
      const api = yield* simulated
      const events = yield* RouterEvents
      const send = (body: object) => {
        const raw = new TextEncoder().encode(JSON.stringify(body))
        api.handle({ method: "POST", path: "/api/generate", headers: [], body: raw }, {
          open: () => {},
          head: () => {},
          data: () => {},
          end: () => {},
          fail: () => {},
        })
      }
      send({ model: "x" })
      yield* elapse("20 seconds")
      assert.deepStrictEqual(ledger.allocations().map((each) => `${each.model} ${each.state()}`), ["x:latest resident"])
      send({ model: "x", keep_alive: 0 })
      yield* elapse("15 seconds")
      assert.deepStrictEqual(ledger.allocations(), [])
      send({ model: "x", options: { num_gpu: 10 } })
      yield* elapse("20 seconds")
      assert.lengthOf(residency.spills("a"), 1)
      assert.isTrue(events.recent(20).some(({ _tag }) => _tag === "ModelSpilled"))
    }).pipe(Effect.provide(overManaged({ a: server }))))
})

describe("a backend that runs on the CPU", () => {
  const inputs = [
    { url: "http://label", id: "label", devices: ["g0"], labels: { device: "cpu" } },
    { url: "http://system", id: "system", devices: ["system@far"] },
  ]
  const onCpu = MemoryVramLedger.layer().pipe(
    Layer.provideMerge(Layer.mergeAll(
      MockGpuProbe.layer([device("g0", 24, 24), device("system@far", 16, 16)]),
      Footprints.table({ "m:latest": gib }),
      Layer.orDie(StaticFleet.layer(inputs)),
    )),
  )
  for (const input of inputs) {
    it.effect(`is charged all the memory that Ollama reports, by its ${input.id}`, () =>
      Effect.gen(function* () {
        const ledger = yield* VramLedger
        const observed = { size: 3 * gib, sizeVram: 0, contextLength: 4096, automatic: true }
        const adopted = ledger.adopt(backend(input), "m:latest", observed)
        assert.strictEqual(adopted.shares()[0]?.bytes, 3 * gib)
        ledger.observe(adopted, undefined, { ...observed, size: 4 * gib })
        assert.strictEqual(adopted.shares()[0]?.bytes, 4 * gib)
      }).pipe(Effect.provide(onCpu)))
  }
})
