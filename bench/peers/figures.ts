/** The numbers that are compared, and how a line compares with another line of the same API. */
import type { Metric } from "../scenario.ts"
import { type Spread, spread } from "../statistics.ts"
import type { Checked } from "./check.ts"
import type { PeerSample } from "./loads.ts"
import type { Group } from "./options.ts"
import type { Api } from "./peers.ts"

/** A peer on one API, with everything that was measured. */
export interface Line {
  readonly name: string
  readonly api: Api
  readonly version: string
  readonly checked: Checked
  readonly samples: Partial<Record<Group, Array<PeerSample>>>
  /** Why a load was not measured, or was given up. */
  readonly failed: Partial<Record<Group, string>>
  /** How often it was started again, because it refused requests after clients had left. */
  restarts: number
}

export type Value = Metric | "idle" | "served"

const values = (line: Line, group: Group, value: Value): ReadonlyArray<number | undefined> =>
  (line.samples[group] ?? []).map((sample) => sample[value])

const defined = (all: ReadonlyArray<number | undefined>): ReadonlyArray<number> =>
  all.filter((value) => value !== undefined)

export const over = (line: Line, group: Group, value: Value): Spread | undefined =>
  spread(defined(values(line, group, value)))

/** Compares round with round, because rounds that ran next to each other had the same conditions. */
const pairs = (a: Line, b: Line, group: Group, value: Value, how: (a: number, b: number) => number) => {
  const theirs = values(b, group, value)
  return spread(defined(
    values(a, group, value).map((one, round) => {
      const other = theirs[round]
      return one === undefined || other === undefined ? undefined : how(one, other)
    }),
  ))
}

export const ratio = (a: Line, b: Line, group: Group, value: Value): Spread | undefined =>
  pairs(a, b, group, value, (one, other) => one / other)

/** What `a` adds to the times of `b`. */
export const added = (a: Line, b: Line, group: Group, value: Value): Spread | undefined =>
  pairs(a, b, group, value, (one, other) => one - other)

export interface Figure {
  readonly says: string
  readonly group: Group
  readonly value: Value
  readonly best: "high" | "low"
  /** Times are added to those of the upstream itself. */
  readonly added?: boolean
}

export const figures: ReadonlyArray<Figure> = [
  { says: "JSON, requests a second", group: "json", value: "rate", best: "high" },
  { says: "JSON, p50 ms", group: "json", value: "p50", best: "low" },
  { says: "JSON, p99 ms", group: "json", value: "p99", best: "low" },
  { says: "JSON, CPU us of a request", group: "json", value: "cpu", best: "low" },
  { says: "streams a second", group: "stream", value: "rate", best: "high" },
  { says: "streams, p99 ms", group: "stream", value: "p99", best: "low" },
  { says: "streams, CPU us of a stream", group: "stream", value: "cpu", best: "low" },
  { says: "paced, added p50 ms", group: "paced", value: "p50", best: "low", added: true },
  { says: "paced, added p95 ms", group: "paced", value: "p95", best: "low", added: true },
  { says: "paced, CPU us of a request", group: "paced", value: "cpu", best: "low" },
  { says: "idle memory, MiB", group: "open", value: "idle", best: "low" },
  { says: "memory with open streams, MiB", group: "open", value: "rss", best: "low" },
]
