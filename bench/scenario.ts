/** What a load is, what it measures, and the names by which figures refer to it. */
import type { Group } from "./options.ts"
import type { Instance, Target } from "./targets.ts"

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
  /** Milliseconds from the start of the process until it serves. */
  readonly ready?: number | undefined
  /** Share of the proxy's core that other programs used meanwhile. */
  readonly others?: number | undefined
  /** MiB, every second of the round. */
  readonly history?: ReadonlyArray<number> | undefined
  /** What the errors are. */
  readonly faults?: ReadonlyArray<string> | undefined
  /** Requests of a load with a fixed rate that were never sent, because the answers to earlier ones took so long. */
  readonly behind?: number | undefined
  readonly errors: number
}
export type Metric = Exclude<keyof Sample, "errors" | "others" | "history" | "faults" | "behind">

export type How = "ratio" | "added"

/** With what a figure is compared: another target, the same target in another scenario, or both. */
export interface Compare {
  readonly metrics: ReadonlyArray<Metric>
  /** Defaults to the same target. */
  readonly to?: string
  /** Defaults to the same scenario. */
  readonly scenario?: string
  readonly how: How
  /** What the other side is called in the table. */
  readonly says: string
}

export interface Scenario {
  readonly group: Group
  /** The heading of the table in which it is. */
  readonly title: string
  readonly name: string
  readonly compares?: ReadonlyArray<Compare>
  readonly targets: (all: ReadonlyArray<Target>) => ReadonlyArray<Target>
  /** Starts a new process each round, because memory and start-up time depend on what a process did before. */
  readonly fresh?: boolean
  /** Not pinned to a core, as a user starts it. */
  readonly unpinned?: boolean
  /** One round and no repetition, because it changes the process or takes long. */
  readonly once?: boolean
  readonly warm?: (instance: Instance) => Promise<unknown>
  readonly measure: (instance: Instance) => Promise<Sample>
}

export const OPEN_STREAMS = 2000
export const IDLE_CONNECTIONS = 10_000
/** 12,400 a minute. */
export const PACED_RATE = 207
export const TAIL_SHARE = 0.7

export const JSON_1 = "JSON, 1 connection"
export const JSON_32 = "JSON, 32 connections"
export const JSON_128 = "JSON, 128 connections"
export const STREAM_32 = "64-chunk NDJSON, 32 connections"
export const SLOW = `${OPEN_STREAMS} open streams`
export const PACED = `${PACED_RATE} req/s paced`
export const TAIL = `${TAIL_SHARE * 100} % of the saturation of raw node:http`
export const READY = "start to ready, then idle"
export const IDLE = `${IDLE_CONNECTIONS} idle connections`

export const OBSERVED_JSON = `observed: ${JSON_32}`
export const OBSERVED_STREAM = `observed: ${STREAM_32}`

export const STARTED = "fresh: idle since the start"
export const FRESH_1 = `fresh: ${JSON_1}`
export const FRESH_32 = `fresh: ${JSON_32}`
export const FRESH_IDLE = "fresh: idle after these loads"
export const AGING = "aging, then idle"
export const AGED_1 = `aged: ${JSON_1}`
export const AGED_32 = `aged: ${JSON_32}`
export const AGED_IDLE = "aged: idle after these loads"

export const titles: Readonly<Record<Exclude<Group, "deno">, string>> = {
  json: "400-byte JSON answers",
  stream: "Streams of 64 chunks",
  slow: "Open streams with one chunk a second; req/s and CPU count chunks",
  paced: `${PACED_RATE} requests/s, timed from the moment at which each was due`,
  tail: `${TAIL_SHARE * 100} % of the saturation of raw node:http, timed from the moment at which each was due`,
  ready: "The server as it is shipped",
  idle: "Idle keep-alive connections",
  observed: "Metrics, 1 % of the traces, decisions and a line in a file for each request, and without all of these",
  aged: "The same process, fresh and aged",
}

/** The same load on the targets that run on Deno. */
export const onDeno = (scenario: string): string => `Deno: ${scenario}`
