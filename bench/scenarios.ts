/** The loads for every target, and which of their numbers is compared with which. */
import { setTimeout as sleep } from "node:timers/promises"
import type { Answered, ClosedLoop } from "./load/closedLoop.ts"
import { openStreams } from "./load/openStreams.ts"
import { paced } from "./load/paced.ts"
import type { Group, Options } from "./options.ts"
import { cpuSeconds, rssMiB } from "./processes.ts"
import { spread } from "./statistics.ts"
import { asShipped, type Instance, type Target } from "./targets.ts"
import { asks } from "./wire.ts"

/** One round of one scenario on one target. */
export interface Sample {
  /** Answers a second; for slow streams, chunks a second. */
  readonly rate?: number | undefined
  /** Milliseconds. */
  readonly p50?: number | undefined
  readonly p95?: number | undefined
  readonly p99?: number | undefined
  /** Microseconds of the proxy's CPU for each answer. */
  readonly cpu?: number | undefined
  /** Share of the proxy's core that was used. Far below 1, the load was the limit, not the proxy. */
  readonly core?: number | undefined
  /** MiB. */
  readonly rss?: number | undefined
  /** Share of the proxy's core that other programs used meanwhile. */
  readonly others?: number | undefined
  readonly errors: number
}
export type Metric = Exclude<keyof Sample, "errors" | "others">

export interface Compare {
  readonly metrics: ReadonlyArray<Metric>
  readonly to: string
  readonly how: "ratio" | "added"
}

export interface Scenario {
  readonly group: Group
  readonly name: string
  readonly compare?: Compare
  readonly targets: (all: ReadonlyArray<Target>) => ReadonlyArray<Target>
  /** Starts a new process each round, because memory and start-up time depend on what a process did before. */
  readonly fresh?: boolean
  /** Not pinned to a core, as a user starts it. */
  readonly unpinned?: boolean
  readonly warm?: (instance: Instance) => Promise<unknown>
  readonly measure: (instance: Instance) => Promise<Sample>
}

export const OPEN_STREAMS = 2000
export const JSON_32 = "JSON, 32 connections"
export const STREAM_32 = "64-chunk NDJSON, 32 connections"
export const SLOW = `${OPEN_STREAMS} open streams`
/** 12,400 a minute. */
export const PACED_RATE = 207
export const PACED = `${PACED_RATE} req/s paced`
export const TAIL_SHARE = 0.7
export const TAIL = `tail: ${TAIL_SHARE * 100} % of node-http's rate`
export const READY = "start to ready, then idle"
const IDLE_AFTER_MS = 3000

const everyone = (all: ReadonlyArray<Target>) => all
const proxies = (all: ReadonlyArray<Target>) => all.filter((target) => target.command !== undefined)

/** What a proxy has used so far. All fields are `undefined` for the upstream itself and where there is no /proc. */
export const meter = ({ child }: Instance) => ({
  cpu: child && cpuSeconds(child.pid),
  rss: child && rssMiB(child.pid),
})

export const costs = (
  before: ReturnType<typeof meter>,
  after: ReturnType<typeof meter>,
  { answers, seconds }: { readonly answers: number; readonly seconds: number },
) => {
  const used = before.cpu === undefined || after.cpu === undefined ? undefined : after.cpu - before.cpu
  return {
    rate: answers / seconds,
    cpu: used === undefined ? undefined : used * 1e6 / answers,
    core: used === undefined ? undefined : used / seconds,
    rss: after.rss,
  }
}

/** Runs a load and measures what it cost the proxy. */
export const metered = async (instance: Instance, load: () => Promise<Answered>): Promise<Sample> => {
  const before = meter(instance)
  const { answers, seconds, ...latencies } = await load()
  return { ...costs(before, meter(instance), { answers, seconds }), ...latencies }
}

export const scenarios = (
  options: Options,
  closedLoop: ClosedLoop,
  tailRate: () => number,
): ReadonlyArray<Scenario> => {
  const { seconds, warmSeconds } = options

  const closed = (group: Group, name: string, body: string, connections: number): Scenario => ({
    group,
    name,
    compare: { metrics: ["rate"], to: "node-http", how: "ratio" },
    targets: everyone,
    warm: ({ port }) => closedLoop({ port, body, connections, seconds: warmSeconds }),
    measure: (instance) => metered(instance, () => closedLoop({ port: instance.port, body, connections, seconds })),
  })

  const open = (group: Group, name: string, rate: () => number, compare: Compare): Scenario => ({
    group,
    name,
    compare,
    targets: everyone,
    warm: async ({ port }) => {
      await closedLoop({ port, body: asks.json, connections: 32, seconds: warmSeconds })
      await paced({ port, body: asks.json, rate: rate(), seconds: 0.5 })
    },
    measure: (instance) =>
      metered(instance, () => paced({ port: instance.port, body: asks.json, rate: rate(), seconds })),
  })

  const slow: Scenario = {
    group: "slow",
    name: SLOW,
    compare: { metrics: ["rss"], to: "node-http", how: "ratio" },
    targets: proxies,
    fresh: true,
    measure: async (instance) => {
      const readings: Array<ReturnType<typeof meter>> = []
      const { receiving, chunks, seconds: held } = await openStreams({
        port: instance.port,
        body: asks.drip,
        streams: OPEN_STREAMS,
        seconds: Math.max(3, seconds),
        observe: () => readings.push(meter(instance)),
      })
      return {
        ...costs(readings[0]!, readings.at(-1)!, { answers: chunks, seconds: held }),
        rss: spread(readings.map(({ rss }) => rss).filter((rss) => rss !== undefined))?.median,
        errors: OPEN_STREAMS - receiving,
      }
    },
  }

  const ready: Scenario = {
    group: "ready",
    name: READY,
    targets: (all) => all.some(({ name }) => name === asShipped.name) ? [asShipped] : [],
    fresh: true,
    unpinned: true,
    measure: async ({ child, readyMs }) => {
      await sleep(IDLE_AFTER_MS)
      return { p50: readyMs, rss: child && rssMiB(child.pid), errors: 0 }
    },
  }

  return [
    closed("json", "JSON, 1 connection", asks.json, 1),
    closed("json", JSON_32, asks.json, 32),
    closed("json", "JSON, 128 connections", asks.json, 128),
    closed("stream", STREAM_32, asks.stream, 32),
    slow,
    open("paced", PACED, () => PACED_RATE, { metrics: ["p50", "p95"], to: "direct", how: "added" }),
    open("tail", TAIL, tailRate, {
      metrics: ["p99"],
      to: "node-http",
      how: "ratio",
    }),
    ready,
  ]
}
