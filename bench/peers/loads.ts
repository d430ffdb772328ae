/** The loads that every peer gets. */
import { setTimeout as sleep } from "node:timers/promises"
import type { ClosedLoop } from "../load/closedLoop.ts"
import { openStreams } from "../load/openStreams.ts"
import { paced } from "../load/paced.ts"
import { cpuSeconds } from "../processes.ts"
import { costs, meter, metered } from "../meters.ts"
import { PACED_RATE, type Sample } from "../scenario.ts"
import { spread } from "../statistics.ts"
import type { Instance } from "../targets.ts"
import { asks } from "../wire.ts"
import type { Checked, Entry } from "./check.ts"
import type { Group, Options } from "./options.ts"

export interface PeerSample extends Sample {
  /** MiB, after the few requests of the check. */
  readonly idle?: number | undefined
  /** Slow streams that received their chunks until the end. */
  readonly served?: number
}

export interface Load {
  readonly group: Group
  readonly title: string
  /** The answer that must be right, or the load is not measured. */
  readonly needs: keyof Pick<Checked, "json" | "stream">
  /** Starts a new process each round, because memory depends on what a process did before. */
  readonly fresh?: boolean
  readonly warm?: (entry: Entry) => Promise<unknown>
  readonly measure: (entry: Entry) => Promise<PeerSample>
}

const WARM_SECONDS = 2
const CONNECTIONS = 32
/** A round with fewer answers than this says nothing, and is repeated, so many times as long. */
const FEW = 2 * CONNECTIONS
const LONGER = 5
const IDLE_AFTER_MS = 3000

const post = ({ headers, instance, path }: Entry, body: string) => ({ port: instance.port, path, headers, body })

const LOOK_EVERY_MS = 200
const QUIET_SHARE = 0.1
const QUIET_WITHIN_MS = 60_000

/** A peer that is overloaded works on after the load has ended, on the core on which the next one is measured. */
export const untilQuiet = async ({ child }: Instance): Promise<void> => {
  if (child === undefined) return
  const giveUp = performance.now() + QUIET_WITHIN_MS
  let before = cpuSeconds(child.pid) ?? 0
  while (performance.now() < giveUp) {
    await sleep(LOOK_EVERY_MS)
    const now = cpuSeconds(child.pid) ?? 0
    if ((now - before) * 1000 < QUIET_SHARE * LOOK_EVERY_MS) return
    before = now
  }
}

export const loads = (closedLoop: ClosedLoop, { seconds, streams }: Options): ReadonlyArray<Load> => {
  const closed = (group: Group & ("json" | "stream"), title: string): Load => {
    const load = (entry: Entry, seconds: number) =>
      closedLoop({ ...post(entry, asks[group]), connections: CONNECTIONS, seconds })
    return {
      group,
      title: `${title}, ${CONNECTIONS} connections`,
      needs: group,
      warm: (entry) => load(entry, WARM_SECONDS),
      measure: async (entry) => {
        const sample = await metered(entry.instance, () => load(entry, seconds))
        if (sample.rate! * seconds >= FEW) return sample
        return await metered(entry.instance, () => load(entry, seconds * LONGER))
      },
    }
  }

  const fixedRate: Load = {
    group: "paced",
    title: `${PACED_RATE} requests/s, each timed from the moment at which it was due`,
    needs: "json",
    warm: (entry) => paced({ ...post(entry, asks.json), rate: PACED_RATE, seconds: WARM_SECONDS }),
    measure: (entry) => metered(entry.instance, () => paced({ ...post(entry, asks.json), rate: PACED_RATE, seconds })),
  }

  const open: Load = {
    group: "open",
    title: `${streams} open streams with one chunk a second each`,
    needs: "stream",
    fresh: true,
    measure: async (entry) => {
      await sleep(IDLE_AFTER_MS)
      const idle = meter(entry.instance).rss
      const readings: Array<ReturnType<typeof meter>> = []
      const { receiving, chunks, seconds: held } = await openStreams({
        ...post(entry, asks.drip),
        streams,
        seconds: Math.max(3, seconds),
        observe: () => readings.push(meter(entry.instance)),
      })
      return {
        ...costs(readings[0]!, readings.at(-1)!, { answers: chunks, seconds: held }),
        rss: spread(readings.map(({ rss }) => rss).filter((rss) => rss !== undefined))?.median,
        idle,
        served: receiving,
        errors: 0,
      }
    },
  }

  return [closed("json", "400-byte JSON"), closed("stream", "64-chunk streams"), fixedRate, open]
}
