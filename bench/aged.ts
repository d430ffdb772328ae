/**
 * A process that has worked for a while. Each target is measured when it is new; then it gets a fixed history, and the
 * same process is measured again. A server lives for weeks, and some costs show only after it once had much to do: a
 * young generation that has grown makes every later garbage collection longer.
 */
import { setTimeout as sleep } from "node:timers/promises"
import type { ClosedLoop } from "./load/closedLoop.ts"
import { mixed } from "./load/mixed.ts"
import { openStreams } from "./load/openStreams.ts"
import { closed, costs, meter } from "./meters.ts"
import type { Options } from "./options.ts"
import { rssMiB } from "./processes.ts"
import * as Names from "./scenario.ts"
import type { Compare, Sample, Scenario } from "./scenario.ts"
import { forLongLoads, type Instance } from "./targets.ts"
import { asks } from "./wire.ts"

/** How long a process rests before its memory is read. V8 gives memory back some seconds after the work. */
const IDLE_MS = 10_000
const STREAMS_SECONDS = 5

const rest = async (instance: Instance): Promise<Sample> => {
  await sleep(IDLE_MS)
  return { rss: meter(instance).rss, errors: 0 }
}

/** 2,000 slow streams at once, then the mixed load, then rest. */
const age = async (instance: Instance, seconds: number): Promise<Sample> => {
  const { port } = instance
  const streams = Names.OPEN_STREAMS
  const history: Array<number> = []
  const { receiving } = await openStreams({
    port,
    body: asks.drip,
    streams,
    seconds: STREAMS_SECONDS,
    observe: () => {},
  })
  const before = meter(instance)
  const done = await mixed({
    port,
    seconds,
    observe: () => history.push((instance.child && rssMiB(instance.child.pid)) ?? NaN),
  })
  const used = costs(before, meter(instance), done)
  const { rss } = await rest(instance)
  const silent = streams - receiving
  const faults = [...(silent > 0 ? [`${silent} of ${streams} open streams`] : []), ...done.faults]
  return { ...used, rss, history, faults, behind: done.behind, errors: done.errors + silent }
}

const toNodeHttp: Compare = { metrics: ["p99"], to: "node-http", how: "ratio", says: "node-http, aged too" }
const toFresh = (scenario: string, metrics: Compare["metrics"]): Compare => (
  { metrics, scenario, how: "ratio", says: "fresh" }
)

/** In the order in which they must be played. */
export const agedScenarios = (closedLoop: ClosedLoop, options: Options): ReadonlyArray<Scenario> => {
  const { ageSeconds, seconds, warmSeconds } = options
  const common = { group: "aged", title: Names.titles.aged, targets: forLongLoads } as const
  const json = (name: string, connections: number, compares: ReadonlyArray<Compare>): Scenario => ({
    ...common,
    name,
    compares,
    ...closed(closedLoop, { body: asks.json, connections, seconds, warmSeconds }),
  })
  const again = (fresh: string) => [toFresh(fresh, ["rate", "p99"]), toNodeHttp]
  return [
    { ...common, name: Names.STARTED, once: true, measure: rest },
    json(Names.FRESH_1, 1, []),
    json(Names.FRESH_32, 32, []),
    { ...common, name: Names.FRESH_IDLE, once: true, measure: rest },
    {
      ...common,
      name: Names.AGING,
      compares: [toFresh(Names.FRESH_IDLE, ["rss"])],
      once: true,
      measure: (instance) => age(instance, ageSeconds),
    },
    json(Names.AGED_1, 1, again(Names.FRESH_1)),
    json(Names.AGED_32, 32, again(Names.FRESH_32)),
    { ...common, name: Names.AGED_IDLE, compares: [toFresh(Names.FRESH_IDLE, ["rss"])], once: true, measure: rest },
  ]
}
