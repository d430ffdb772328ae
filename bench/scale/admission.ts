/** 100,000 tenants that wait for one model: joins, grants, sweeps and evictions. */
import { Context, Effect, Layer, ManagedRuntime } from "effect"
import process from "node:process"
import * as BoundedAdmission from "../../src/layers/admission/BoundedAdmission.ts"
import { Admission } from "../../src/services/Admission.ts"
import { type Commit, type Lease, Leases } from "../../src/services/Leases.ts"
import type { Model } from "../../src/services/ModelCatalog.ts"
import { demandOf, quiet } from "./fleet.ts"
import { job, millis, pause, type Row, rowOf } from "./measure.ts"

const model: Model = {
  key: "queued:8b",
  owners: new Map(),
  capabilities: [],
  remote: false,
  contextTrained: undefined,
}

/** An admission over leases of which the benchmark says how many there are. */
const open = async (options: BoundedAdmission.Options) => {
  const listeners = new Set<() => void>()
  const state = { answer: "wait" as Commit, slots: 0, commits: 0 }
  const lease = { release: () => {}, demand: demandOf(model) } as unknown as Lease
  const leases = Layer.succeed(Leases, {
    view: undefined as never,
    commit: () => "wait",
    count: () => 0,
    onFree: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  })
  const runtime = ManagedRuntime.make(
    BoundedAdmission.layer(options).pipe(Layer.provide(leases), Layer.provideMerge(quiet)),
  )
  const context = await runtime.context()
  const admission = Context.get(context, Admission)
  const fork = Effect.runForkWith(context)
  const commit = (): Commit => {
    state.commits++
    if (state.slots === 0) return state.answer
    state.slots--
    return lease
  }
  let ended = 0
  const join = (tenant: string) => {
    const demand = demandOf(model, { tenant, bytes: 0 })
    const fiber = fork(Effect.exit(admission.admit(demand, commit, () => Effect.void)))
    fiber.addObserver(() => void ended++)
    return fiber
  }
  return {
    admission,
    state,
    join,
    ended: () => ended,
    free: (slots: number) => {
      state.slots = slots
      for (const listener of listeners) listener()
    },
    close: () => runtime.dispose(),
  }
}

const unbounded = { queueCapacity: Infinity, queueBytes: Infinity, queueMillis: 3_600_000 }
const tenants = 100_000

const joined = async (world: Awaited<ReturnType<typeof open>>, count: number): Promise<ReadonlyArray<number>> => {
  const times: Array<number> = []
  for (let i = 0; i < count; i++) {
    times.push(millis(() => void world.join(`tenant-${i}`)))
    if (i % 500 === 0) await pause()
  }
  return times
}

const heap = (): number => {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed / 2 ** 20
}

const manyTenants = async (): Promise<ReadonlyArray<Row>> => {
  const world = await open(unbounded)
  const before = heap()
  const rows: Array<Row> = [rowOf(`queue: join, up to ${tenants} tenants`, "ms", await joined(world, tenants))]
  rows.push(rowOf("queue: memory of all of them", "MiB", [heap() - before]))
  rows.push(...await job("queue: a second with its sweeps", 3, () => new Promise((done) => setTimeout(done, 1000))))
  const grants: Array<number> = []
  for (let i = 0; i < 200; i++) {
    grants.push(millis(() => world.free(1)))
    await pause()
  }
  rows.push(rowOf("queue: a slot is free, one is granted", "ms", grants))
  const reads: Array<number> = []
  for (let i = 0; i < 5; i++) reads.push(millis(() => world.admission.queues()[0]!.depth))
  rows.push(rowOf("queue: its depth for /metrics", "ms", reads))
  // The process ends without them.
  return rows
}

/** One more than fits: the tenant with most requests gives one up. */
const evictions = async (): Promise<ReadonlyArray<Row>> => {
  const world = await open({ ...unbounded, queueCapacity: tenants })
  await joined(world, tenants - 1000)
  for (let i = 0; i < 1000; i++) world.join("greedy")
  const times: Array<number> = []
  for (let i = 0; i < 100; i++) {
    times.push(millis(() => void world.join(`late-${i}`)))
    await pause()
  }
  return [rowOf("queue: a newcomer when it is full", "ms", times)]
}

/** All of them reach their deadline at once. */
const deadlines = async (): Promise<ReadonlyArray<Row>> => {
  const count = 10_000
  const world = await open({ ...unbounded, queueMillis: 4000 })
  await joined(world, count)
  const rows = await job(`queue: deadline of ${count} tenants`, 1, async () => {
    while (world.ended() < count) await new Promise((done) => setTimeout(done, 20))
  })
  await world.close()
  return rows
}

/** Tenants that wait for a load: how many requests are asked for each that comes, and in all. */
const loads = async (): Promise<ReadonlyArray<Row>> => {
  const count = 1000
  const world = await open(unbounded)
  world.state.answer = "loading"
  await joined(world, count)
  const before = world.state.commits
  const times: Array<number> = []
  for (let i = 0; i < 100; i++) times.push(millis(() => void world.join(`late-${i}`)))
  const asked = (world.state.commits - before) / 100
  await world.close()
  return [
    rowOf(`queue: join while ${count} tenants wait for a load`, "ms", times),
    rowOf("queue: requests asked for such a join", "count", [asked]),
  ]
}

export const admission = async (): Promise<ReadonlyArray<Row>> => [
  ...await loads(),
  ...await deadlines(),
  ...await manyTenants(),
  ...await evictions(),
]
