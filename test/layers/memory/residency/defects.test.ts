/** A throw or a defect of a plugin, a listener or another service ends at most one load, and stops nothing else. */
import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Context, Effect, Fiber, Layer, Logger } from "effect"
import * as StaticFleet from "../../../../src/layers/fleet/StaticFleet.ts"
import * as MemoryVramLedger from "../../../../src/layers/memory/ledger/MemoryVramLedger.ts"
import * as PollingResidency from "../../../../src/layers/memory/residency/PollingResidency.ts"
import * as CostAwareVictimPicker from "../../../../src/plugins/victims/CostAwareVictimPicker.ts"
import { backend } from "../../../../src/services/Fleet.ts"
import { ModelCatalog } from "../../../../src/services/ModelCatalog.ts"
import { OllamaApi } from "../../../../src/services/OllamaApi.ts"
import type { VictimPicker } from "../../../../src/services/Plugin.ts"
import { type LoadEnd, Residency } from "../../../../src/services/Residency.ts"
import { VramLedger } from "../../../../src/services/VramLedger.ts"
import { elapse } from "../../../../src/testing/elapse.ts"
import * as Footprints from "../../../../src/testing/footprints.ts"
import * as MockGpuProbe from "../../../../src/testing/mocks/MockGpuProbe.ts"
import * as MockModelCatalog from "../../../../src/testing/mocks/MockModelCatalog.ts"
import * as FakeOllamaApi from "../../../support/fakeOllamaApi.ts"

type Call =
  | "pick"
  | "ps"
  | "load"
  | "unload"
  | "reserve"
  | "prepare"
  | "observe"
  | "refresh"
  | "managed"
  | "allocations"
  | "peek"
  | "blob"

/** How many of the next calls throw. */
class Faults {
  private readonly left = new Map<Call, number>()
  readonly logs: Array<string> = []

  set(call: Call, times: number): void {
    this.left.set(call, times)
  }

  check(call: Call): void {
    const left = this.left.get(call) ?? 0
    if (left === 0) return
    this.left.set(call, left - 1)
    throw new Error(`${call} is broken`)
  }

  warnings(text: string): number {
    return this.logs.filter((line) => line.includes(text)).length
  }
}

const gib = 1024 ** 3
const sizes = { "small:latest": 5, "other:latest": 5, "big:latest": 12 }
const card = MockGpuProbe.device("g0", ByteSize.gibibytes(16), { freeBytes: ByteSize.gibibytes(16) })
const a = backend({ url: "http://a", id: "a", devices: ["g0"] })
/** No device: its memory is not managed. */
const b = backend({ url: "http://b", id: "b" })

const stack = (faults: Faults) => {
  const cost = CostAwareVictimPicker.make()
  const picker: VictimPicker = {
    ...cost,
    pick: (...all) => {
      faults.check("pick")
      return cost.pick(...all)
    },
  }
  const api = FakeOllamaApi.layer.pipe(Layer.flatMap((context) => {
    const right = Context.get(context, OllamaApi)
    const broken = (call: Call) => Effect.sync(() => faults.check(call))
    return Layer.succeedContext(Context.add(context, OllamaApi, {
      ...right,
      ps: (...all) => Effect.andThen(right.ps(...all), (rows) => Effect.as(broken("ps"), rows)),
      load: (...all) => Effect.andThen(right.load(...all), broken("load")),
      unload: (...all) => Effect.andThen(broken("unload"), right.unload(...all)),
    }))
  }))
  const catalog = MockModelCatalog.layer(
    Object.keys(sizes).map((name) => ({ name: name.replace(":latest", ""), owners: ["a", "b"] })),
  ).pipe(Layer.flatMap((context) => {
    const right = Context.get(context, ModelCatalog)
    return Layer.succeedContext(Context.add(context, ModelCatalog, {
      ...right,
      peek: (...all) => {
        faults.check("peek")
        return right.peek(...all)
      },
      blob: (...all) => {
        faults.check("blob")
        return right.blob(...all)
      },
    }))
  }))
  const ledger = MemoryVramLedger.layer().pipe(Layer.flatMap((context) => {
    const right = Context.get(context, VramLedger)
    const wrap = <A extends ReadonlyArray<unknown>, B>(call: Call, method: (...all: A) => B) => (...all: A): B => {
      faults.check(call)
      return method(...all)
    }
    return Layer.succeedContext(Context.add(context, VramLedger, {
      ...right,
      reserve: wrap("reserve", right.reserve),
      prepare: wrap("prepare", right.prepare),
      observe: wrap("observe", right.observe),
      managed: wrap("managed", right.managed),
      allocations: wrap("allocations", right.allocations),
      refresh: Effect.andThen(Effect.sync(() => faults.check("refresh")), right.refresh),
    }))
  }))
  return PollingResidency.layer({ victims: picker }).pipe(
    Layer.provideMerge(ledger),
    Layer.provideMerge(Layer.mergeAll(
      api,
      MockGpuProbe.layer([card]),
      Footprints.table(Object.fromEntries(Object.entries(sizes).map(([name, size]) => [name, size * gib]))),
      catalog,
      Layer.orDie(
        StaticFleet.layer([{ url: "http://a", id: "a", devices: ["g0"] }, { url: "http://b", id: "b" }]),
      ),
      Logger.layer([Logger.make(({ message }) => void faults.logs.push(String(message)))]),
    )),
  )
}

const setup = Effect.gen(function* () {
  const { peek } = yield* ModelCatalog
  const { server } = yield* FakeOllamaApi.FakeServers
  const residency = yield* Residency
  yield* elapse("1 second")
  const models = new Map(Object.keys(sizes).map((key) => [key.replace(":latest", ""), peek(key)!]))
  const model = (name: string) => models.get(name)!
  const load = (on: typeof a, name: string) =>
    Effect.gen(function* () {
      residency.request(on, model(name))
      yield* elapse("3 seconds")
      assert.strictEqual(residency.state(on.id, model(name)), "resident")
    })
  const start = (on: typeof a, name: string) =>
    Effect.forkChild(Effect.exit(residency.load(on, model(name))), { startImmediately: true })
  const startFailing = (on: typeof a, name: string) =>
    Effect.forkChild(Effect.flip(residency.load(on, model(name))), { startImmediately: true })
  return { residency, server, fake: server("a"), model, load, start, startFailing }
})

type World = Effect.Success<typeof setup> & { readonly faults: Faults }

const test = <R>(name: string, body: (world: World) => Effect.Effect<void, unknown, R>) =>
  it.effect(name, () => {
    const faults = new Faults()
    return Effect.gen(function* () {
      const world = yield* setup
      yield* body({ ...world, faults })
    }).pipe(Effect.provide(stack(faults))) as Effect.Effect<void, unknown>
  })

describe("a victim picker that throws", () => {
  test("once: the load waits for its next look, other loads go on, and it is logged once", (world) =>
    Effect.gen(function* () {
      const { faults, load, model, residency } = world
      yield* load(a, "small")
      yield* elapse("2 seconds")
      faults.set("pick", 1)
      residency.request(a, model("big"))
      assert.strictEqual(residency.state("a", model("big")), "loading")
      yield* elapse("10 seconds", "500 millis")
      assert.strictEqual(residency.state("a", model("big")), "resident")
      assert.strictEqual(faults.warnings("victim picker"), 1)
      yield* load(b, "small")
    }))

  test("every time: it counts as no victims, so other loads pass, and the load fails for want of room", (world) =>
    Effect.gen(function* () {
      const { faults, load, model, residency, startFailing } = world
      yield* load(a, "small")
      faults.set("pick", Infinity)
      const waiting = yield* startFailing(a, "big")
      yield* load(a, "other")
      yield* load(b, "small")
      assert.strictEqual(residency.state("a", model("small")), "resident")
      yield* elapse("310 seconds", "5 seconds")
      assert.match((yield* Fiber.join(waiting)).description, /no room/)
    }))
})

describe("a defect of the control calls", () => {
  test("in /api/ps right after a load ends that load, and the next one starts", ({ faults, fake, ...world }) =>
    Effect.gen(function* () {
      const { load, model, residency, start, startFailing } = world
      const first = yield* startFailing(a, "small")
      const second = yield* start(a, "other")
      faults.set("ps", 1)
      yield* elapse("1 second", "250 millis")
      assert.match((yield* Fiber.join(first)).description, /ps is broken/)
      yield* elapse("5 seconds")
      assert.strictEqual((yield* Fiber.join(second))._tag, "Success")
      assert.deepStrictEqual(
        fake.calls.filter((call) => call.startsWith("load")),
        ["load small:latest", "load other:latest"],
      )
      // The memory of both models is charged: the first one is in memory in spite of the defect.
      assert.strictEqual(residency.state("a", model("small")), "resident")
      assert.lengthOf((yield* VramLedger).allocations(), 2)
      yield* load(b, "small")
    }))

  test("in /api/ps right after a load where memory is not managed, with and without a conflict", (world) =>
    Effect.gen(function* () {
      const { faults, load, model, residency, server, startFailing } = world
      yield* load(b, "small")
      faults.set("ps", 1)
      residency.request(b, model("other"))
      yield* elapse("1 second", "250 millis")
      assert.strictEqual(residency.state("b", model("other")), "resident")
      assert.isUndefined(residency.failure("b", model("other")))
      // The load of `big` pushes the other two out: from now on it is in conflict with them.
      const fake = server("b")
      fake.resident = []
      residency.request(b, model("big"))
      yield* elapse("1500 millis", "250 millis")
      assert.strictEqual(residency.state("b", model("big")), "resident")
      yield* elapse("5 seconds")
      const failing = yield* startFailing(b, "small")
      faults.set("ps", 1)
      yield* elapse("1 second", "250 millis")
      assert.match((yield* Fiber.join(failing)).description, /ps is broken/)
      yield* load(b, "other")
    }))

  test("in a load ends that load, and the next one starts", ({ faults, load, startFailing }) =>
    Effect.gen(function* () {
      const first = yield* startFailing(a, "small")
      faults.set("load", 1)
      yield* load(a, "other")
      assert.match((yield* Fiber.join(first)).description, /load is broken/)
      yield* elapse("2 seconds")
      yield* load(a, "small")
    }))

  test("in an unload ends the drain: the model is resident, and can be unloaded later", (world) =>
    Effect.gen(function* () {
      const { faults, fake, load, model, residency } = world
      yield* load(a, "small")
      faults.set("unload", 1)
      assert.isTrue(residency.unload(a, model("small")))
      assert.strictEqual(residency.state("a", model("small")), "draining")
      yield* elapse("1 second", "250 millis")
      assert.strictEqual(residency.state("a", model("small")), "resident")
      assert.isTrue(residency.unload(a, model("small")))
      yield* elapse("1 second", "250 millis")
      assert.strictEqual(residency.state("a", model("small")), "absent")
      assert.deepStrictEqual(fake.calls.filter((call) => call.startsWith("unload")), ["unload small:latest"])
    }))

  test("in /api/ps after an unload does not stop the wait for the model to go", (world) =>
    Effect.gen(function* () {
      const { faults, load, model, residency } = world
      yield* load(a, "small")
      assert.isTrue(residency.unload(a, model("small")))
      faults.set("ps", 2)
      yield* elapse("2 seconds", "250 millis")
      assert.strictEqual(residency.state("a", model("small")), "absent")
    }))

  test("in /api/ps on the schedule or on refresh does not stop the readings", (world) =>
    Effect.gen(function* () {
      const { faults, fake, model, residency } = world
      faults.set("ps", 3)
      yield* residency.refresh
      yield* elapse("6 seconds")
      faults.set("ps", 0)
      fake.resident = [FakeOllamaApi.psRow("small:latest", 6e8)]
      yield* elapse("6 seconds")
      assert.strictEqual(residency.state("a", model("small")), "resident")
    }))

  test("in every /api/ps does not keep a load waiting for room longer than the longest time for a load", (world) =>
    Effect.gen(function* () {
      const { faults, load, model, residency, startFailing } = world
      yield* load(a, "small")
      const pin = residency.pin("a", model("small"))
      const waiting = yield* startFailing(a, "big")
      faults.set("ps", Infinity)
      yield* elapse("310 seconds", "5 seconds")
      assert.match((yield* Fiber.join(waiting)).description, /no room/)
      pin.release()
    }))
})

describe("a defect of the ledger or the catalog", () => {
  for (const call of ["reserve", "allocations"] as const) {
    test(`in ${call} while a load waits fails that load only`, ({ faults, load, model, residency, startFailing }) =>
      Effect.gen(function* () {
        yield* load(a, "small")
        const pin = residency.pin("a", model("small"))
        const waiting = yield* startFailing(a, "big")
        faults.set(call, 1)
        yield* elapse("1 second", "250 millis")
        assert.match((yield* Fiber.join(waiting)).description, new RegExp(`${call} is broken`))
        yield* load(a, "other")
        pin.release()
      }))
  }

  for (const call of ["peek", "blob", "managed"] as const) {
    test(`in ${call} while a load waits fails that load at most`, (world) =>
      Effect.gen(function* () {
        const { faults, load, model, residency, start } = world
        yield* load(a, "small")
        const pin = residency.pin("a", model("small"))
        const waiting = yield* start(a, "big")
        faults.set(call, 1)
        yield* elapse("1 second", "250 millis")
        yield* load(a, "other")
        pin.release()
        yield* elapse("20 seconds")
        yield* Fiber.join(waiting)
      }))
  }

  test("in prepare: the load goes on without", ({ faults, load }) =>
    Effect.gen(function* () {
      faults.set("prepare", 1)
      yield* load(a, "small")
    }))

  test("in observe: the reading goes on, and the next one charges the model", ({ faults, load, model, residency }) =>
    Effect.gen(function* () {
      faults.set("observe", 1)
      residency.request(a, model("small"))
      yield* elapse("7 seconds")
      assert.strictEqual(residency.state("a", model("small")), "resident")
      assert.deepStrictEqual((yield* VramLedger).allocations().map((each) => each.state()), ["resident"])
      yield* load(a, "other")
    }))

  test("in refresh right after a load ends that load, and the next one starts", ({ faults, load, startFailing }) =>
    Effect.gen(function* () {
      const first = yield* startFailing(a, "small")
      faults.set("refresh", 1)
      yield* elapse("1 second", "250 millis")
      assert.match((yield* Fiber.join(first)).description, /refresh is broken/)
      yield* elapse("5 seconds")
      yield* load(a, "other")
    }))
})

describe("a listener that throws", () => {
  test("stops neither loads nor the other listeners", ({ faults, load, model, residency }) =>
    Effect.gen(function* () {
      const ends: Array<LoadEnd | undefined> = []
      residency.onChange(() => {
        throw new Error("a listener is broken")
      })
      residency.onChange((end) => ends.push(end))
      yield* load(a, "small")
      yield* load(a, "other")
      assert.isTrue(residency.unload(a, model("small")))
      yield* elapse("3 seconds", "250 millis")
      assert.strictEqual(residency.state("a", model("small")), "absent")
      assert.deepStrictEqual(
        ends.filter((end) => end !== undefined).map(({ model: key }) => key),
        ["small:latest", "other:latest"],
      )
      assert.isAbove(faults.warnings("listeners of residency"), 0)
    }))

  test("of spills stops no reading", ({ fake, model, residency }) =>
    Effect.gen(function* () {
      residency.onSpill(() => {
        throw new Error("a listener is broken")
      })
      fake.resident = [
        FakeOllamaApi.psRow("small:latest", 6e8, { size_vram: 1e9 }),
        FakeOllamaApi.psRow("other:latest", 6e8),
      ]
      yield* elapse("6 seconds")
      assert.strictEqual(residency.state("a", model("other")), "resident")
      assert.lengthOf(residency.spills("a"), 1)
    }))
})
