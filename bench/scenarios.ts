/** What is asked of every target, and which of its numbers is compared with whose. */
import { setTimeout as sleep } from "node:timers/promises"
import type { ClosedLoop } from "./load/closedLoop.ts"
import { openStreams } from "./load/openStreams.ts"
import { paced } from "./load/paced.ts"
import type { Group, Options } from "./options.ts"
import { cpuSeconds, rssMiB } from "./processes.ts"
import { spread } from "./statistics.ts"
import { asShipped, type Instance, type Target } from "./targets.ts"
import { asks } from "./wire.ts"

/** One round of one scenario on one target. */
export interface Sample {
  /** Answers a second (slow streams: chunks). */
  readonly rate?: number | undefined
  /** Milliseconds. */
  readonly p50?: number | undefined
  readonly p95?: number | undefined
  readonly p99?: number | undefined
  /** Microseconds of the proxy's CPU per answer. */
  readonly cpu?: number | undefined
  /** Share of the proxy's core that was used: far below 1, the load was the limit, not the proxy. */
  readonly core?: number | undefined
  /** MiB. */
  readonly rss?: number | undefined
  readonly errors: number
}
export type Metric = Exclude<keyof Sample, "errors">

export interface Scenario {
  readonly group: Group
  readonly name: string
  /** Ratios are of `metric`; `added` is the difference in it. */
  readonly compare?: { readonly metric: Metric; readonly to: string; readonly how: "ratio" | "added" }
  readonly targets: (all: ReadonlyArray<Target>) => ReadonlyArray<Target>
  /** A new process each round: memory and start say nothing about a process that has done other things. */
  readonly fresh?: boolean
  readonly warm?: (instance: Instance) => Promise<unknown>
  readonly measure: (instance: Instance) => Promise<Sample>
}

export const OPEN_STREAMS = 2000
/** 12,400 a minute. */
export const PACED_RATE = 207
export const TAIL_SHARE = 0.7
const IDLE_AFTER_MS = 3000

const everyone = (all: ReadonlyArray<Target>) => all
const proxies = (all: ReadonlyArray<Target>) => all.filter((target) => target.command !== undefined)

/** Adds what the load cost the proxy. */
const metered = async <A extends { readonly seconds: number }>(
  { child }: Instance,
  load: () => Promise<A>,
  answers: (result: A) => number,
) => {
  const before = child && cpuSeconds(child.pid)
  const result = await load()
  const after = child && cpuSeconds(child.pid)
  const used = before === undefined || after === undefined ? undefined : after - before
  return {
    result,
    rate: answers(result) / result.seconds,
    cpu: used === undefined ? undefined : used * 1e6 / answers(result),
    core: used === undefined ? undefined : used / result.seconds,
    rss: child && rssMiB(child.pid),
  }
}

export const scenarios = (options: Options, closedLoop: ClosedLoop, tailRate: () => number): ReadonlyArray<Scenario> => {
  const { seconds, warmSeconds } = options

  const closed = (group: Group, name: string, body: string, connections: number): Scenario => ({
    group,
    name,
    compare: { metric: "rate", to: "node-http", how: "ratio" },
    targets: everyone,
    warm: ({ port }) => closedLoop({ port, body, connections, seconds: warmSeconds }),
    measure: async (instance) => {
      const load = () => closedLoop({ port: instance.port, body, connections, seconds })
      const { result, ...cost } = await metered(instance, load, ({ answers }) => answers)
      return { ...cost, p50: result.p50, p95: result.p95, p99: result.p99, errors: result.errors }
    },
  })

  const open = (group: Group, name: string, rate: () => number, compare: Scenario["compare"] & object): Scenario => ({
    group,
    name,
    compare,
    targets: everyone,
    warm: async ({ port }) => {
      await closedLoop({ port, body: asks.json, connections: 32, seconds: warmSeconds })
      await paced({ port, body: asks.json, rate: rate(), seconds: 0.5 })
    },
    measure: async (instance) => {
      const load = () => paced({ port: instance.port, body: asks.json, rate: rate(), seconds })
      const { result, ...cost } = await metered(instance, load, ({ answers }) => answers)
      return { ...cost, p50: result.p50, p95: result.p95, p99: result.p99, errors: result.errors }
    },
  })

  const slow: Scenario = {
    group: "slow",
    name: `${OPEN_STREAMS} open streams`,
    compare: { metric: "rss", to: "node-http", how: "ratio" },
    targets: proxies,
    fresh: true,
    measure: async (instance) => {
      const resident: Array<number> = []
      const observe = () => {
        const rss = instance.child && rssMiB(instance.child.pid)
        if (rss !== undefined) resident.push(rss)
      }
      const load = () =>
        openStreams({ port: instance.port, body: asks.drip, streams: OPEN_STREAMS, seconds: Math.max(3, seconds), observe })
      const { result, ...cost } = await metered(instance, load, ({ chunks }) => chunks)
      return { ...cost, rss: spread(resident)?.median, errors: OPEN_STREAMS - result.receiving }
    },
  }

  const ready: Scenario = {
    group: "ready",
    name: "start to ready, then idle",
    targets: (all) => all.some(({ name }) => name === asShipped.name) ? [asShipped] : [],
    fresh: true,
    measure: async ({ child, readyMs }) => {
      await sleep(IDLE_AFTER_MS)
      return { p50: readyMs, rss: child && rssMiB(child.pid), errors: 0 }
    },
  }

  return [
    closed("json", "JSON, 1 connection", asks.json, 1),
    closed("json", "JSON, 32 connections", asks.json, 32),
    closed("json", "JSON, 128 connections", asks.json, 128),
    closed("stream", "64-chunk NDJSON, 32 connections", asks.stream, 32),
    slow,
    open("paced", `${PACED_RATE} req/s paced`, () => PACED_RATE, { metric: "p50", to: "direct", how: "added" }),
    open("tail", `tail: ${TAIL_SHARE * 100} % of node-http's rate`, tailRate, {
      metric: "p99",
      to: "node-http",
      how: "ratio",
    }),
    ready,
  ].filter(({ group }) => options.only.includes(group))
}
