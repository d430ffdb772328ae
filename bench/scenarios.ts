/** The loads for every target, and which of their numbers is compared with which. */
import { setTimeout as sleep } from "node:timers/promises"
import { agedScenarios } from "./aged.ts"
import type { ClosedLoop } from "./load/closedLoop.ts"
import { idleConnections } from "./load/idleConnections.ts"
import { openStreams } from "./load/openStreams.ts"
import { paced } from "./load/paced.ts"
import { closed, costs, type Meter, meter, metered, middleRss } from "./meters.ts"
import { observedScenarios } from "./observed.ts"
import type { Options } from "./options.ts"
import { rssMiB } from "./processes.ts"
import * as Names from "./scenario.ts"
import type { Compare, Scenario } from "./scenario.ts"
import { asShipped, asShippedOnDeno, forLongLoads, type Target } from "./targets.ts"
import { asks } from "./wire.ts"

const IDLE_AFTER_MS = 3000

export interface Kit {
  readonly options: Options
  readonly closedLoop: ClosedLoop
  /** The rate of the latency load: a share of what the reference did in the load `json32`. */
  readonly tailRate: (json32: string, reference: string) => number
}

/** The targets of one runtime. */
interface Field {
  readonly has: (target: Target) => boolean
  /** The target with which the others are compared. */
  readonly reference: string
  readonly shipped: Target
  /** In which group and table a load is. */
  readonly place: (group: keyof typeof Names.titles) => Pick<Scenario, "group" | "title">
  readonly named: (scenario: string) => string
}

const onNode: Field = {
  has: ({ only, runtime }) => runtime !== "deno" && only === undefined,
  reference: "node-http",
  shipped: asShipped,
  place: (group) => ({ group, title: Names.titles[group] }),
  named: (scenario) => scenario,
}

const onDeno: Field = {
  has: ({ runtime }) => runtime === "deno",
  reference: "node-http-deno",
  shipped: asShippedOnDeno,
  place: (group) => ({ group: "deno", title: Names.onDeno(Names.titles[group]) }),
  named: Names.onDeno,
}

const isProxy = ({ command }: Target) => command !== undefined
const toDirect: Compare = { metrics: ["p50", "p95"], to: "direct", how: "added", says: "direct" }

const slow = ({ has, named, place, reference }: Field, seconds: number): Scenario => ({
  ...place("slow"),
  name: named(Names.SLOW),
  compares: [{ metrics: ["rss"], to: reference, how: "ratio", says: reference }],
  targets: (all) => all.filter((target) => has(target) && isProxy(target)),
  fresh: true,
  measure: async (instance) => {
    const readings: Array<Meter> = []
    const { receiving, chunks, seconds: lasted } = await openStreams({
      port: instance.port,
      body: asks.drip,
      streams: Names.OPEN_STREAMS,
      seconds: Math.max(3, seconds),
      observe: () => readings.push(meter(instance)),
    })
    return {
      ...costs(readings[0]!, readings.at(-1)!, { answers: chunks, seconds: lasted }),
      rss: middleRss(readings),
      errors: Names.OPEN_STREAMS - receiving,
    }
  },
})

const idle = (seconds: number): Scenario => ({
  ...onNode.place("idle"),
  name: Names.IDLE,
  compares: [{ metrics: ["rss"], to: "node-http", how: "ratio", says: "node-http" }],
  targets: forLongLoads,
  fresh: true,
  measure: async (instance) => {
    const readings: Array<Meter> = []
    const serving = await idleConnections({
      port: instance.port,
      body: asks.json,
      connections: Names.IDLE_CONNECTIONS,
      seconds: Math.max(5, seconds),
      observe: () => readings.push(meter(instance)),
    })
    return { rss: middleRss(readings), errors: Names.IDLE_CONNECTIONS - serving }
  },
})

const ready = ({ named, place, shipped }: Field): Scenario => ({
  ...place("ready"),
  name: named(Names.READY),
  targets: (all) => all.some(({ name }) => name === shipped.name) ? [shipped] : [],
  fresh: true,
  unpinned: true,
  measure: async ({ child, readyMs }) => {
    await sleep(IDLE_AFTER_MS)
    return { ready: readyMs, rss: child && rssMiB(child.pid), errors: 0 }
  },
})

/** The loads in the order in which they are played, on the targets of one runtime. */
const loads = (field: Field, { closedLoop, options, tailRate }: Kit): ReadonlyArray<Scenario> => {
  const { has, named, place, reference } = field
  const { seconds, warmSeconds } = options
  const toReference = (metric: "rate" | "p99"): Compare => (
    { metrics: [metric], to: reference, how: "ratio", says: reference }
  )
  const load = (of: keyof typeof Names.titles, name: string, body: string, connections: number): Scenario => ({
    ...place(of),
    name: named(name),
    compares: [toReference("rate")],
    targets: (all) => all.filter(has),
    ...closed(closedLoop, { body, connections, seconds, warmSeconds }),
  })
  const open = (of: keyof typeof Names.titles, name: string, rate: () => number, compare: Compare): Scenario => ({
    ...place(of),
    name: named(name),
    compares: [compare],
    targets: (all) => all.filter((target) => has(target) || target.name === compare.to),
    warm: async ({ port }) => {
      await closedLoop({ port, body: asks.json, connections: 32, seconds: warmSeconds })
      await paced({ port, body: asks.json, rate: rate(), seconds: 0.5 })
    },
    measure: (instance) =>
      metered(instance, () => paced({ port: instance.port, body: asks.json, rate: rate(), seconds })),
  })
  return [
    load("json", Names.JSON_1, asks.json, 1),
    load("json", Names.JSON_32, asks.json, 32),
    load("json", Names.JSON_128, asks.json, 128),
    load("stream", Names.STREAM_32, asks.stream, 32),
    slow(field, seconds),
    open("paced", Names.PACED, () => Names.PACED_RATE, toDirect),
    open("tail", Names.TAIL, () => tailRate(named(Names.JSON_32), reference), toReference("p99")),
    ready(field),
  ]
}

export const scenarios = (kit: Kit): ReadonlyArray<Scenario> => [
  ...loads(onNode, kit),
  idle(kit.options.seconds),
  ...observedScenarios(kit.closedLoop, kit.options),
  ...agedScenarios(kit.closedLoop, kit.options),
  ...loads(onDeno, kit),
]
