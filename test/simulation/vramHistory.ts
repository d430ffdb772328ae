/**
 * Plays a generated history of memory: requests, loads, failures, interruptions, probe faults, other processes,
 * restarts.
 */
import { assert } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as StaticFleet from "../../src/layers/fleet/StaticFleet.ts"
import * as MemoryVramLedger from "../../src/layers/memory/ledger/MemoryVramLedger.ts"
import * as PollingResidency from "../../src/layers/memory/residency/PollingResidency.ts"
import * as CostAwareVictimPicker from "../../src/plugins/victims/CostAwareVictimPicker.ts"
import { backend } from "../../src/services/Fleet.ts"
import { ModelCatalog } from "../../src/services/ModelCatalog.ts"
import { type Pin, Residency } from "../../src/services/Residency.ts"
import { VramLedger } from "../../src/services/VramLedger.ts"
import * as Footprints from "../../src/testing/footprints.ts"
import { backends, catalog, gib, sizes, World } from "./vramWorld.ts"

const small = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

export const Step = Schema.Struct({
  do: Schema.Literals([
    "ask",
    "ask",
    "ask",
    "ask",
    "ask",
    "hold",
    "hold",
    "hold",
    "hold",
    "drop",
    "pin",
    "pin",
    "unpin",
    "unload",
    "forget",
    "probe",
    "foreign",
    "fail",
    "ps",
    "crash",
    "intrude",
    "lag",
    "wait",
    "wait",
    "wait",
    "leave",
    "restart",
  ]),
  on: small(1),
  model: small(3),
  n: small(20),
})
export type Step = typeof Step.Type
export const History = Schema.Array(Step).check(Schema.isMinLength(12), Schema.isMaxLength(60))

const names = Object.keys(sizes)
const probes = ["good", "slow", "fails", "slow", "hangs", "none", "missing"] as const

const stack = (world: World) =>
  PollingResidency.layer({ victims: CostAwareVictimPicker.make() }).pipe(
    Layer.provideMerge(world.watched),
    Layer.provide(MemoryVramLedger.layer()),
    Layer.provideMerge(Layer.mergeAll(
      world.apiLayer,
      world.probeLayer,
      catalog,
      Footprints.table(Object.fromEntries(names.map((name) => [name, world.sizes[name]! * gib]))),
      Layer.orDie(StaticFleet.layer(backends)),
    )),
  )

/** The steps until the next restart of the router. */
const segment = (world: World, steps: ReadonlyArray<Step>, last: boolean) => {
  const waits = world.probe === "hangs" || world.probe === "slow" ? world.probe : undefined
  // The first reading comes before the router is built, when nothing advances the clock.
  if (waits !== undefined) world.probe = "fails"
  return Effect.gen(function* () {
    if (waits !== undefined) world.probe = waits
    const residency = yield* Residency
    const { peek } = yield* ModelCatalog
    const holds: Array<{ readonly id: string; readonly pin: Pin }> = []
    const pins: Array<{ readonly id: string; readonly pin: Pin }> = []
    const count = (map: Map<string, number>, id: string, by: number) => void map.set(id, (map.get(id) ?? 0) + by)
    const take = (from: typeof holds, map: Map<string, number>, n: number) => {
      const [one] = from.splice(n % Math.max(1, from.length), 1)
      if (one === undefined) return
      count(map, one.id, -1)
      one.pin.release()
    }
    yield* TestClock.adjust(10)
    for (const step of steps) {
      const { id } = backends[step.on]!
      const on = backend(backends[step.on]!)
      const model = peek(names[step.model]!)!
      const key = `${id} ${model.key}`
      switch (step.do) {
        case "ask":
          residency.request(on, model, { evicts: step.n > 4 })
          break
        case "leave": {
          const fiber = yield* Effect.forkChild(Effect.exit(residency.load(on, model)), { startImmediately: true })
          fiber.interruptUnsafe()
          break
        }
        case "hold":
          if (residency.state(id, model) !== "resident") break
          count(world.held, key, 1)
          holds.push({ id: key, pin: residency.hold(id, model) })
          break
        case "drop":
          take(holds, world.held, step.n)
          break
        case "pin":
          count(world.pinned, key, 1)
          pins.push({ id: key, pin: residency.pin(id, model) })
          break
        case "unpin":
          take(pins, world.pinned, step.n)
          break
        case "unload":
          residency.unload(on, model)
          break
        case "forget":
          // Only a backend can say this: that the model is not there.
          if (world.find(id, model.key) === undefined) residency.forget(id, model)
          break
        case "probe":
          world.probe = probes[step.n % probes.length]!
          break
        case "foreign": {
          const uuid = step.on === 0 ? "g0" : "g1"
          const device = world.devices.get(uuid)!
          const before = device.foreign
          const room = device.total - world.promised(uuid) + before
          device.foreign = Math.max(0, Math.min(step.n * gib, room))
          if (device.foreign > before) world.take(uuid)
          break
        }
        case "fail":
          world.loadFails = step.n % 3 === 0
          break
        case "ps":
          world.psFails = step.n % 3 === 0
          break
        case "crash":
          world.crash(id)
          break
        case "intrude":
          world.intrude(id, model.key)
          break
        case "lag":
          world.lagMillis = step.n * 200
          break
        case "wait":
          for (let i = 0; i < step.n; i += 2) yield* TestClock.adjust(1800)
      }
    }
    while (holds.length > 0) take(holds, world.held, 0)
    while (pins.length > 0) take(pins, world.pinned, 0)
    if (!last) return
    world.probe = "good"
    world.loadFails = false
    world.psFails = false
    for (const device of world.devices.values()) device.foreign = 0
    for (let i = 0; i < 50; i++) yield* TestClock.adjust(1000)
    // Nothing is left, and the ledger agrees with the devices.
    const ledger = yield* VramLedger
    for (const one of ledger.allocations()) {
      if (one.state() === "resident") {
        assert.isDefined(world.find(one.backend, one.model), `${one.backend} ${one.model}`)
      }
    }
    for (const { backend, loading, model } of world.runners) {
      if (!loading) assert.strictEqual(residency.state(backend, peek(model)!), "resident")
    }
  }).pipe(Effect.scoped, Effect.provide(stack(world), { local: true }))
}

export const play = (steps: ReadonlyArray<Step>) =>
  Effect.gen(function* () {
    // 30 GiB fit on both devices together, 40 GiB fit on no backend.
    const world = new World((steps[2]?.n ?? 0) % 2 === 0 ? 30 : 40)
    // Other programs hold memory from the beginning, and the first reading shows it.
    world.devices.get("g0")!.foreign = (steps[0]?.n ?? 0) % 12 * gib
    world.devices.get("g1")!.foreign = (steps[1]?.n ?? 0) % 8 * gib
    let from = 0
    for (let at = 0; at <= steps.length; at++) {
      if (at < steps.length && steps[at]!.do !== "restart") continue
      yield* segment(world, steps.slice(from, at), at === steps.length)
      from = at + 1
    }
    assert.deepStrictEqual(world.violations, [])
    return world
  })
