/** What the router does by itself over a big fleet: probes, readings, plans, and the ledger. */
import { ByteSize, Context, Effect, Layer, ManagedRuntime, Option } from "effect"
import * as OllamaModelCatalog from "../../src/layers/catalog/OllamaModelCatalog.ts"
import * as NoopBackendHealth from "../../src/layers/health/NoopBackendHealth.ts"
import * as PollingBackendHealth from "../../src/layers/health/PollingBackendHealth.ts"
import * as MemoryVramLedger from "../../src/layers/memory/ledger/MemoryVramLedger.ts"
import * as UnmanagedVramLedger from "../../src/layers/memory/ledger/UnmanagedVramLedger.ts"
import * as PlannedPrewarmer from "../../src/layers/memory/prewarm/PlannedPrewarmer.ts"
import * as PollingResidency from "../../src/layers/memory/residency/PollingResidency.ts"
import * as PinnedPlan from "../../src/plugins/plans/PinnedPlan.ts"
import { BackendHealth } from "../../src/services/BackendHealth.ts"
import { Fleet } from "../../src/services/Fleet.ts"
import { GpuProbe, unknown } from "../../src/services/GpuProbe.ts"
import { ModelCatalog } from "../../src/services/ModelCatalog.ts"
import { Residency } from "../../src/services/Residency.ts"
import { VramLedger } from "../../src/services/VramLedger.ts"
import * as MockModelFootprints from "../../src/testing/mocks/MockModelFootprints.ts"
import { api, backendsOf, fleet, fleetOf, makeCatalog, quiet, resident, transport } from "./fleet.ts"
import { job, leastMillis, pause, type Row, rowOf } from "./measure.ts"

const interval = "1 day"
const things = Layer.mergeAll(fleet, api, transport, quiet)

const settled = async (): Promise<void> => {
  for (let i = 0; i < 200; i++) await pause()
}

const health = async (): Promise<ReadonlyArray<Row>> => {
  const runtime = ManagedRuntime.make(PollingBackendHealth.layer({ interval }).pipe(Layer.provideMerge(things)))
  const service = await runtime.runPromise(BackendHealth)
  await settled()
  const rows = await job("health: all backends are probed", 5, () => runtime.runPromise(service.check))
  await runtime.dispose()
  return rows
}

/** The first reading and the next one of so many backends. */
export const catalog = async (backends: number): Promise<ReadonlyArray<Row>> => {
  const stack = OllamaModelCatalog.layer({ interval }).pipe(
    Layer.provideMerge(NoopBackendHealth.layer),
    Layer.provideMerge(Layer.mergeAll(fleetOf(backends), api, transport, quiet)),
  )
  const runtime = ManagedRuntime.make(stack)
  const first = await job(`catalog: the first reading of ${backends} backends`, 1, async () => {
    const service = await runtime.runPromise(ModelCatalog)
    await runtime.runPromise(service.refresh)
    while (service.peek(resident)?.owners.size !== backends) await new Promise((done) => setTimeout(done, 50))
  })
  const service = await runtime.runPromise(ModelCatalog)
  const again = await job(`catalog: ${backends} backends are read again`, 3, () => runtime.runPromise(service.refresh))
  await runtime.dispose()
  return [...first, ...again]
}

const residency = async (): Promise<ReadonlyArray<Row>> => {
  const known = makeCatalog()
  const stack = PlannedPrewarmer.layer({
    plans: [PinnedPlan.make(known.models.map(({ key }) => key).slice(0, 2))],
    interval,
  }).pipe(
    Layer.provideMerge(PollingResidency.layer({ interval })),
    Layer.provideMerge(UnmanagedVramLedger.layer),
    Layer.provideMerge(NoopBackendHealth.layer),
    Layer.provideMerge(known.layer),
    Layer.provideMerge(things),
  )
  const runtime = ManagedRuntime.make(stack)
  const service = await runtime.runPromise(Residency)
  await settled()
  const rows = await job("residency: /api/ps of all backends", 5, () => runtime.runPromise(service.refresh))
  const plan = PinnedPlan.make(known.models.map(({ key }) => key).slice(0, 2))
  const looks = await job("prewarm: a look at 2 models", 3, () =>
    runtime.runPromise(Effect.scoped(Effect.andThen(
      Layer.build(PlannedPrewarmer.layer({ plans: [plan], interval })),
      Effect.promise(pause),
    ))))
  await runtime.dispose()
  return [...rows, ...looks]
}

const gib = ByteSize.fromInputUnsafe("80 GiB")
const probe = Layer.succeed(GpuProbe, {
  source: "bench",
  read: Effect.sync(() => ({
    source: "bench",
    passedOver: [],
    devices: Array.from({ length: backendsOf }, (_, i) => ({
      ...unknown(`GPU-${i}`, "GPU", "cuda" as never),
      total: Option.some(gib),
      free: Option.some(gib),
    })),
  })),
})

const ledger = async (): Promise<ReadonlyArray<Row>> => {
  const known = makeCatalog()
  const stack = MemoryVramLedger.layer({ interval }).pipe(
    Layer.provideMerge(probe),
    Layer.provideMerge(MockModelFootprints.layer({ [resident]: 6e9 } as never)),
    Layer.provideMerge(known.layer),
    Layer.provideMerge(things),
  )
  const runtime = ManagedRuntime.make(stack)
  const context = await runtime.context()
  const service = Context.get(context, VramLedger)
  const members = Context.get(context, Fleet).members()
  const model = known.get(resident)
  const observed = { size: 6e9, sizeVram: 6e9, contextLength: 8192, automatic: true }
  const taken = members.map(({ backend }) => service.adopt(backend, resident, observed))
  const rows = [...await job("ledger: a reading of all devices", 5, () => runtime.runPromise(service.refresh))]
  const reserves: Array<number> = []
  const observes: Array<number> = []
  for (const [i, { backend }] of members.entries()) {
    let held: ReturnType<typeof service.reserve> | undefined
    const free = (): void => {
      if (held !== undefined && !("_tag" in held)) held.move("gone")
    }
    reserves.push(leastMillis(() => held = service.reserve(backend, model, undefined), free))
    observes.push(leastMillis(() => service.observe(taken[i]!, model, observed)))
  }
  rows.push(rowOf("ledger: memory is promised", "ms", reserves))
  rows.push(rowOf("ledger: a model in memory is compared", "ms", observes))
  rows.push(
    rowOf("ledger: devices for /metrics", "ms", [1, 2, 3, 4, 5].map(() => leastMillis(() => service.devices()))),
  )
  await runtime.dispose()
  return rows
}

export const sweeps = async (): Promise<ReadonlyArray<Row>> => [
  ...await health(),
  ...await residency(),
  ...await ledger(),
]
