/**
 * One bounded queue for each model, first come first served, with deadlines; what does not fit is shed.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect, Exit, Layer, Result } from "effect"
import { Admission, type QueueSnapshot } from "../services/Admission.ts"
import { type Commit, isLease, type Lease, Leases } from "../services/Leases.ts"
import { unused } from "../services/Outcome.ts"
import { type Refusal, refuse } from "../services/Refusal.ts"
import type { Demand } from "../services/RoutedRequest.ts"
import { every } from "./internal/every.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Requests waiting for one model. Defaults to `128`. */
  readonly queueCapacity?: number | undefined
  /** Bodies waiting, all models together, in bytes. Defaults to 256 MiB. */
  readonly queueBytes?: number | undefined
  /** Longest wait, in milliseconds; time spent waiting for a load that has begun does not count. Defaults to `30000`. */
  readonly queueMillis?: number | undefined
}

/** How often deadlines are looked at: an eviction is late by at most this. */
const sweepMillis = 100

/** One waiting request. */
class Entry {
  readonly line: WaitingLine
  readonly demand: Demand
  readonly commit: () => Commit
  loading: boolean
  /** Milliseconds by the clock; moved on by what the wait for a load took. */
  expiresAt: number
  lease: Lease | undefined = undefined
  private result: Effect.Effect<void, Refusal> | undefined = undefined
  private wake: ((result: Effect.Effect<void, Refusal>) => void) | undefined = undefined
  constructor(line: WaitingLine, demand: Demand, commit: () => Commit, loading: boolean, expiresAt: number) {
    this.line = line
    this.demand = demand
    this.commit = commit
    this.loading = loading
    this.expiresAt = expiresAt
  }
  /** Ends when the entry has its lease, or is refused. */
  readonly turn = Effect.callback<void, Refusal>((resume) => {
    if (this.result !== undefined) resume(this.result)
    else this.wake = resume
  })
  settle(result: Effect.Effect<void, Refusal>): void {
    this.result = result
    this.wake?.(result)
  }
}

/** The waiting requests of one model, and how fast they have been leaving. */
class WaitingLine {
  readonly entries: Array<Entry> = []
  bytes = 0
  /** Moving average of milliseconds between two that left with a lease; `undefined` before the second. */
  intervalMillis: number | undefined = undefined
  lastGrantAt: number | undefined = undefined

  granted(now: number): void {
    if (this.lastGrantAt !== undefined) {
      const interval = now - this.lastGrantAt
      this.intervalMillis = this.intervalMillis === undefined
        ? interval
        : this.intervalMillis + 0.2 * (interval - this.intervalMillis)
    }
    this.lastGrantAt = now
  }

  /** Seconds until a newcomer would be through, were it queued behind all the others. */
  retryAfter(): number {
    const seconds = this.entries.length * (this.intervalMillis ?? 1000) / 1000
    return Math.min(120, Math.max(1, Math.ceil(seconds)))
  }
}

const make = Effect.fnUntraced(function* (options: Required<{ [K in keyof Options]: number }>) {
  const leases = yield* Leases
  const clock = yield* Clock.Clock
  const lines = new Map<string, WaitingLine>()
  let bytes = 0
  let waiting = 0

  const leave = (entry: Entry): void => {
    const index = entry.line.entries.indexOf(entry)
    if (index < 0) return
    entry.line.entries.splice(index, 1)
    entry.line.bytes -= entry.demand.bytes
    bytes -= entry.demand.bytes
    waiting--
  }

  /** What a plugin throws inside a commit ends its own request, not the queue. */
  const tried = (entry: Entry): Commit | undefined => {
    const commit = Result.try(entry.commit)
    if (Result.isSuccess(commit)) return commit.success
    leave(entry)
    entry.settle(Effect.die(commit.failure))
    return undefined
  }

  /** Lets through whoever can go, the longest waiting first. A line stops at the first that must wait, or a later one would overtake it. */
  const pump = (): void => {
    const oldestFirst = Array.from(lines.values())
      .filter((line) => line.entries.length > 0)
      .sort((a, b) => a.entries[0]!.demand.since - b.entries[0]!.demand.since)
    for (const line of oldestFirst) {
      let stopped = false
      for (const entry of line.entries.slice()) {
        if (stopped) {
          entry.loading = false
          continue
        }
        const commit = tried(entry)
        if (commit === undefined) continue
        if (typeof commit === "string") {
          entry.loading = commit === "loading"
          // Those behind one that waits for a load wait for it, too; and one that may not go where it has already failed holds up nobody.
          stopped = commit === "wait" && entry.demand.excluded.length === 0
          continue
        }
        leave(entry)
        if (isLease(commit)) {
          entry.lease = commit
          line.granted(clock.currentTimeMillisUnsafe())
          entry.settle(Effect.void)
        } else entry.settle(Effect.fail(commit))
      }
    }
  }

  // A commit can itself change what is free (it may start a load), which must not pump again from inside.
  let pumping = false
  let again = false
  const settle = (): void => {
    if (waiting === 0) return
    if (pumping) {
      again = true
      return
    }
    pumping = true
    do {
      again = false
      pump()
    } while (again)
    pumping = false
  }
  const stop = leases.onFree(settle)
  yield* Effect.addFinalizer(() => Effect.sync(stop))

  let sweptAt = clock.currentTimeMillisUnsafe()
  const sweep = Effect.sync(() => {
    const now = clock.currentTimeMillisUnsafe()
    const passed = now - sweptAt
    sweptAt = now
    if (waiting === 0) return
    for (const line of lines.values()) {
      for (const entry of line.entries.slice()) {
        if (entry.loading) entry.expiresAt += passed
        else if (now >= entry.expiresAt) {
          leave(entry)
          entry.settle(Effect.fail(
            refuse("DeadlineExceeded", `waited too long for ${entry.demand.model.key}`, {
              retryAfter: line.retryAfter(),
            }),
          ))
        }
      }
    }
    settle()
  })
  yield* Effect.forkScoped(every(Duration.millis(sweepMillis), sweep))

  const full = (line: WaitingLine | undefined, demand: Demand): Refusal | undefined => {
    if (line !== undefined && line.entries.length >= options.queueCapacity) {
      return refuse("QueueFull", `the queue for ${demand.model.key} is full`, { retryAfter: line.retryAfter() })
    }
    return bytes + demand.bytes > options.queueBytes
      ? refuse("QueueFull", "too many bytes are waiting", { retryAfter: line?.retryAfter() ?? 1 })
      : undefined
  }

  /** In one synchronous step, so that two cannot take the last place. */
  const join = (demand: Demand, commit: () => Commit, loading: boolean): Entry => {
    const waitMillis = Math.min(demand.queueMillis ?? options.queueMillis, options.queueMillis)
    let line = lines.get(demand.model.key)
    if (line === undefined) lines.set(demand.model.key, line = new WaitingLine())
    const entry = new Entry(line, demand, commit, loading, clock.currentTimeMillisUnsafe() + waitMillis)
    // A retry has waited its turn already.
    if (demand.excluded.length > 0) line.entries.unshift(entry)
    else line.entries.push(entry)
    line.bytes += demand.bytes
    bytes += demand.bytes
    waiting++
    return entry
  }

  const admit = <A, E, R>(
    demand: Demand,
    commit: () => Commit,
    use: (lease: Lease) => Effect.Effect<A, E, R>,
  ): Effect.Effect<A, E | Refusal, R> =>
    // Uninterruptible but for the waiting and the use: a lease is never between hands.
    Effect.uninterruptibleMask((restore): Effect.Effect<A, E | Refusal, R> => {
      const held = (lease: Lease) =>
        Effect.onExit(restore(Effect.suspend(() => use(lease))), () => Effect.sync(() => lease.release(unused)))
      const line = lines.get(demand.model.key)
      let loading = false
      if (line === undefined || line.entries.length === 0 || demand.excluded.length > 0) {
        const now = commit()
        if (isLease(now)) return held(now)
        if (typeof now === "object") return Effect.fail(now)
        loading = now === "loading"
      }
      const refusal = full(line, demand)
      if (refusal !== undefined) return Effect.fail(refusal)
      const entry = join(demand, commit, loading)
      return Effect.flatMap(Effect.exit(restore(entry.turn)), (exit): Effect.Effect<A, E | Refusal, R> => {
        leave(entry)
        if (Exit.isSuccess(exit) && entry.lease !== undefined) return held(entry.lease)
        // Interrupted between the grant and the wake-up: give it back, so that the next in line goes.
        entry.lease?.release(unused)
        return Exit.isFailure(exit) ? Effect.failCause(exit.cause) : Effect.die("woken without a lease")
      })
    })

  return Admission.of({
    admit,
    queues: () => {
      const now = clock.currentTimeMillisUnsafe()
      const snapshots: Array<QueueSnapshot> = []
      for (const [model, { bytes, entries: [first, ...rest] }] of lines) {
        if (first !== undefined) {
          snapshots.push({ model, depth: 1 + rest.length, bytes, oldestMillis: now - first.demand.since })
        }
      }
      return snapshots
    },
  })
})

const whole = (field: keyof Options, given: number | undefined, otherwise: number): number => {
  const value = given ?? otherwise
  if (!Number.isInteger(value) || value < 0) {
    throw new RangeError(`BoundedAdmission.layer: ${field} must be a whole number of at least 0, got ${value}`)
  }
  return value
}

/**
 * Bounded queues. Memory held by waiting requests is at most `queueBytes` plus their envelopes.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Admission, never, Leases> =>
  Layer.effect(
    Admission,
    make({
      queueCapacity: whole("queueCapacity", options?.queueCapacity, 128),
      queueBytes: whole("queueBytes", options?.queueBytes, 256 * 1024 * 1024),
      queueMillis: whole("queueMillis", options?.queueMillis, 30_000),
    }),
  )

/**
 * No bounds and no deadline: what a bare Ollama does. For comparison, and for routers whose bounds are elsewhere.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerUnbounded: Layer.Layer<Admission, never, Leases> = Layer.effect(
  Admission,
  make({ queueCapacity: Infinity, queueBytes: Infinity, queueMillis: Infinity }),
)
