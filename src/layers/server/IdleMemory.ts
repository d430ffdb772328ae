/**
 * Gives memory back when the server has nothing to do. V8 keeps the pages of its heap after a busy time until a later
 * collection, and an idle process has none: after 2,000 slow streams that was 65 MiB of 225 MiB.
 *
 * @since 0.1.0
 */
import { Duration, Effect, Layer, type Scope } from "effect"
import process from "node:process"
import * as v8 from "node:v8"
import * as vm from "node:vm"
import { watch as repeated } from "../../support/every.ts"
import { NodeServer } from "./NodeServer.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** How long the server must have had nothing to do. Defaults to 4 seconds. */
  readonly idle?: Duration.Input | undefined
}

/**
 * What is known about the process.
 *
 * @internal
 */
export interface Meter {
  /** Number of requests under way. */
  readonly active: () => number
  /** CPU time that the process has used, in milliseconds. */
  readonly cpuMillis: () => number
  /** Memory of the process as the operating system counts it, in bytes. */
  readonly rss: () => number
  /** Collects all garbage, and gives its pages back. Nothing else runs meanwhile: some 50 ms. */
  readonly collect: () => void
}

/** The process counts as idle below this part of one core. Health checks of a few backends take less. */
const idleShare = 0.05

/** Less growth than this, in bytes, is not worth a collection. */
const growthMin = 8 * 1024 * 1024

/**
 * Collects once the process was idle for a whole interval, if it has grown since the last collection.
 *
 * @internal
 */
export const watch = (meter: Meter, idle: Duration.Duration): Effect.Effect<void, never, Scope.Scope> => {
  const cpuMax = Duration.toMillis(idle) * idleShare
  let cpu = meter.cpuMillis()
  let wasActive = true
  let smallest = 0
  const look = Effect.sync(() => {
    const before = cpu
    cpu = meter.cpuMillis()
    const isIdle = !wasActive && meter.active() === 0 && cpu - before <= cpuMax
    wasActive = meter.active() > 0
    if (!isIdle || meter.rss() < smallest + growthMin) return
    meter.collect()
    smallest = meter.rss()
    cpu = meter.cpuMillis()
  })
  return Effect.asVoid(Effect.forkScoped(repeated(idle, look)))
}

/** V8's own collector. It has no public name, and other engines than Node's do not give it out. */
const collector = (): (() => void) | undefined => {
  if (process.versions["deno"] !== undefined || process.versions["bun"] !== undefined) return undefined
  v8.setFlagsFromString("--expose-gc")
  const gc: unknown = vm.runInNewContext("gc")
  v8.setFlagsFromString("--no-expose-gc")
  // "last-resort" also gives back the pages that V8 keeps for later. Node before 22 ignores the argument.
  return typeof gc === "function"
    ? () => void gc({ type: "major", execution: "sync", flavor: "last-resort" })
    : undefined
}

/**
 * Gives the memory of the process back when the server is idle. It is for programs: it works on the heap of the whole
 * process. Where the collector cannot be called (Deno, Bun), it does nothing.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<never, never, NodeServer> =>
  Layer.effectDiscard(Effect.gen(function* () {
    const collect = collector()
    if (collect === undefined) return
    const { active } = yield* NodeServer
    const cpuMillis = () => {
      const { system, user } = process.cpuUsage()
      return (system + user) / 1000
    }
    const idle = Duration.fromInputUnsafe(options.idle ?? "4 seconds")
    yield* watch({ active, cpuMillis, rss: () => process.memoryUsage.rss(), collect }, idle)
  }))
