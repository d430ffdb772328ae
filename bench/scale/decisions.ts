/** The time of one decision: the ranking, and the commit that ends in a lease or says why there is none. */
import { Context, Effect, Layer, ManagedRuntime } from "effect"
import { CircuitBreaker } from "effect/persistence"
import * as LocalBreaker from "../../src/layers/breaker/LocalBreaker.ts"
import * as PollingBackendHealth from "../../src/layers/health/PollingBackendHealth.ts"
import * as MemoryLeases from "../../src/layers/leases/MemoryLeases.ts"
import * as UnmanagedVramLedger from "../../src/layers/memory/ledger/UnmanagedVramLedger.ts"
import * as PollingResidency from "../../src/layers/memory/residency/PollingResidency.ts"
import * as ProfilePlacement from "../../src/layers/placement/ProfilePlacement.ts"
import * as TwoChoicesPicker from "../../src/plugins/pickers/TwoChoicesPicker.ts"
import * as PeakEwma from "../../src/plugins/scorers/PeakEwma.ts"
import * as SessionAffinity from "../../src/plugins/scorers/SessionAffinity.ts"
import * as WeightScorer from "../../src/plugins/scorers/WeightScorer.ts"
import * as StandardProfile from "../../src/plugins/StandardProfile.ts"
import { Breaker } from "../../src/services/Breaker.ts"
import { Fleet } from "../../src/services/Fleet.ts"
import { isLease, type Lease, Leases } from "../../src/services/Leases.ts"
import { unused } from "../../src/services/Outcome.ts"
import { Placement } from "../../src/services/Placement.ts"
import type { Profile } from "../../src/services/Plugin.ts"
import type { Demand } from "../../src/services/RoutedRequest.ts"
import {
  api,
  backendsOf,
  cold,
  demandOf,
  fleet,
  ids,
  makeCatalog,
  quiet,
  resident,
  single,
  transport,
  twentieth,
} from "./fleet.ts"
import { decisionGoal, millis, pause, type Row, rowOf } from "./measure.ts"

const standard = StandardProfile.make()
const ewma = PeakEwma.make()
const withScorer = (scorer: Profile["scorers"][number]["scorer"]): Profile => ({
  ...standard,
  scorers: [...standard.scorers, { scorer, weight: 1 }],
})
const profiles: Readonly<Record<string, Profile>> = {
  standard,
  "two choices": { ...standard, picker: TwoChoicesPicker.make() },
  "peak EWMA": withScorer(ewma.scorer),
  weight: withScorer(WeightScorer.make()),
  "session affinity": withScorer(SessionAffinity.make().scorer),
}

const interval = "1 day"
const count = 45

const open = async () => {
  const catalog = makeCatalog()
  const stack = MemoryLeases.layer.pipe(
    Layer.provideMerge(PollingResidency.layer({ interval })),
    Layer.provideMerge(UnmanagedVramLedger.layer),
    Layer.provideMerge(catalog.layer),
    Layer.provideMerge(PollingBackendHealth.layer({ interval })),
    Layer.provideMerge(LocalBreaker.layer().pipe(Layer.provide(CircuitBreaker.layerStoreMemory()))),
    Layer.provideMerge(fleet),
    Layer.provideMerge(Layer.mergeAll(api, transport, quiet)),
  )
  const runtime = ManagedRuntime.make(stack)
  const context = await runtime.context()
  // All backends have answered once.
  for (let i = 0; i < 200; i++) await pause()
  const placements: Record<string, Placement["Service"]> = {}
  for (const [name, profile] of Object.entries(profiles)) {
    placements[name] = await runtime.runPromise(
      Effect.scoped(Effect.map(Layer.build(ProfilePlacement.layer(profile)), Context.get(Placement))),
    )
  }
  return {
    breaker: Context.get(context, Breaker),
    catalog,
    context,
    leases: Context.get(context, Leases),
    placements,
    runtime,
  }
}

type World = Awaited<ReturnType<typeof open>>

/** Milliseconds of each decision, the least of four: see `leastMillis`. A lease is given back after it. */
const decide = async (
  { leases, placements }: World,
  demand: () => Demand,
  before: () => unknown = () => {},
  profile = "standard",
): Promise<ReadonlyArray<number>> => {
  const placement = placements[profile]!
  const all: Array<number> = []
  for (let i = 0; i < count + count / 3; i++) {
    const one = demand()
    let commit: ReturnType<typeof leases.commit> = "wait"
    let took = Infinity
    for (let turn = 0; turn < 4; turn++) {
      await before()
      took = Math.min(
        took,
        millis(() => {
          commit = leases.commit(placement.rank(one, leases.view), one, 1)
        }),
      )
      if (isLease(commit)) (commit as Lease).release(unused)
    }
    if (i >= count / 3) all.push(took)
    if (i % 50 === 0) await pause()
  }
  return all
}

/** Leases on the first backends, so that the model has no free slot there. */
const fill = ({ catalog, leases }: World, backends: number, model = resident): ReadonlyArray<Lease> =>
  ids.slice(0, backends).flatMap((id) => {
    const view = leases.view.find(id)!
    const commit = leases.commit([{ view, score: 1 }], demandOf(catalog.get(model)), 1)
    return isLease(commit) ? [commit] : []
  })

const row = (what: string, values: ReadonlyArray<number>): Row => rowOf(`decision, ${what}`, "ms", values, decisionGoal)

export const decisions = async (): Promise<ReadonlyArray<Row>> => {
  const world = await open()
  const { breaker, catalog, leases } = world
  const of = (name: string, more?: Partial<Demand>) => () => demandOf(catalog.get(name), more)
  const fleetService = Context.get(world.context, Fleet)
  const rows: Array<Row> = []
  rows.push(row("model on all", await decide(world, of(resident))))
  rows.push(row("model on 5 %", await decide(world, of(twentieth))))
  rows.push(row("model on one", await decide(world, of(single))))
  rows.push(row("num_ctx asked for", await decide(world, of(resident, { numCtx: 4096 }))))
  for (const profile of Object.keys(profiles).slice(1)) {
    const demand = of(resident, { session: 12345 })
    for (const [i, id] of ids.entries()) {
      const settled = { backend: id, outcome: { kind: "success", cause: "ok", firstByteMillis: 20 + i } }
      ewma.observer.observe({ _tag: "RequestSettled", at: 0, settled } as never)
    }
    rows.push(row(`profile with ${profile}`, await decide(world, demand, undefined, profile)))
  }
  let drained = false
  const changeFleet = () => {
    drained = !drained
    return world.runtime.runPromise(fleetService.setState(ids[7]!, drained ? "draining" : "active"))
  }
  rows.push(row("after a change of the fleet", await decide(world, of(resident), changeFleet)))
  rows.push(row("after a change of the catalog", await decide(world, of(resident), catalog.changed)))

  const half = fill(world, backendsOf / 2)
  rows.push(row("half of the backends full", await decide(world, of(resident))))
  const rest = fill(world, backendsOf)
  rows.push(row("all backends full", await decide(world, of(resident))))
  rows.push(row("all full, two choices", await decide(world, of(resident), undefined, "two choices")))
  for (const lease of [...half, ...rest]) lease.release(unused)

  for (const backend of ids.slice(0, backendsOf / 2)) breaker.isolate({ backend })
  rows.push(row("half of the breakers open", await decide(world, of(resident))))
  for (const backend of ids) breaker.isolate({ backend })
  rows.push(row("all breakers open", await decide(world, of(resident))))
  for (const backend of ids) breaker.restore({ backend })

  rows.push(row("model in no memory, num_ctx", await decide(world, of(cold, { numCtx: 4096 }))))
  rows.push(row("model in no memory", await decide(world, of("model-3:8b"))))
  const find: Array<number> = []
  for (let i = 0; i < count; i++) {
    find.push(
      millis(() => {
        for (let j = 0; j < 100; j++) leases.view.find(ids[999]!)
      }) / 100,
    )
  }
  rows.push(rowOf("view.find", "ms", find))
  await world.runtime.dispose()
  return rows
}
