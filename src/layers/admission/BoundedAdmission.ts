/**
 * One bounded queue for each model, fair between tenants, with classes that age and with deadlines; what does not fit is shed.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect, Exit, Layer, Result } from "effect"
import { Admission, type QueueSnapshot } from "../../services/Admission.ts"
import { needsResident } from "../../services/Host.ts"
import { type Commit, isLease, type Lease, Leases } from "../../services/Leases.ts"
import { unused } from "../../services/Outcome.ts"
import { type Refusal, refuse } from "../../services/Refusal.ts"
import type { Demand } from "../../services/RoutedRequest.ts"
import { every } from "../../support/every.ts"
import { Entry, expired, slipped } from "./entry.ts"
import { pass } from "./pass.ts"
import { WaitingLine } from "./waitingLine.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Requests waiting for one model. Defaults to `128`. */
  readonly queueCapacity?: number | undefined
  /** Bodies waiting, all models together, in bytes. Defaults to 256 MiB. */
  readonly queueBytes?: number | undefined
  /** Longest wait, in milliseconds; time spent waiting for a load that has begun does not count. Defaults to `30000`. */
  readonly queueMillis?: number | undefined
  /** After so many milliseconds in a queue a request counts as one class better. Defaults to `10000`. */
  readonly ageMillis?: number | undefined
  /** Shares of tenants, above 0. Whoever is not named has `1`. */
  readonly tenantWeights?: Readonly<Record<string, number>> | undefined
}

/** How often deadlines and ages are looked at: an eviction is late by at most this. */
const sweepMillis = 100

interface Bounds {
  readonly queueCapacity: number
  readonly queueBytes: number
  readonly queueMillis: number
  readonly ageMillis: number
  readonly tenantWeights: ReadonlyMap<string, number>
}

const make = Effect.fnUntraced(function* (bounds: Bounds) {
  yield* needsResident("BoundedAdmission", "QueuelessAdmission")
  const leases = yield* Leases
  const clock = yield* Clock.Clock
  const lines = new Map<string, WaitingLine>()
  let bytes = 0
  let waiting = 0
  let arrivals = 0
  const now = (): number => clock.currentTimeMillisUnsafe()
  const weightOf = (tenant: string): number => bounds.tenantWeights.get(tenant) ?? 1

  /** One for each model that was ever asked for: it remembers how long a use of it takes. */
  const lineOf = (key: string): WaitingLine => {
    let line = lines.get(key)
    if (line === undefined) lines.set(key, line = new WaitingLine(key, weightOf))
    return line
  }

  const leave = (entry: Entry, served = false): void => {
    if (!entry.line.remove(entry, served)) return
    entry.demand.waiting = undefined
    bytes -= entry.demand.bytes
    waiting--
  }

  const end = (entry: Entry, result: Effect.Effect<void, Refusal>): void => {
    leave(entry)
    entry.settle(result)
  }

  /** Asks for one that waits. What a plugin throws inside a commit ends its own request, not the queue. */
  const tried = (entry: Entry): "wait" | "loading" | "gone" => {
    const answer = Result.try(() => entry.commit(entry.line.size))
    if (Result.isFailure(answer)) {
      end(entry, Effect.die(answer.failure))
      return "gone"
    }
    const commit = answer.success
    if (typeof commit === "string") return commit
    if (isLease(commit)) {
      entry.lease = commit
      entry.line.drain.granted(now())
      leave(entry, true)
      entry.settle(Effect.void)
    } else end(entry, Effect.fail(commit))
    return "gone"
  }

  /** Lets through whoever can go. Between models the better class goes first, then the one that came first. */
  const pump = (): void => {
    const next = Array.from(lines.values(), (line) => line.first()).filter((entry) => entry !== undefined)
    next.sort((a, b) => a.rank - b.rank || a.demand.since - b.demand.since || a.seq - b.seq)
    for (const { line } of next) pass(line, tried)
  }

  // A commit can itself change what is free (it may start a load), which must not pump again from inside.
  let pumping = false
  let again = false
  const settle = (only?: WaitingLine): void => {
    if (waiting === 0) return
    if (pumping) {
      again = true
      return
    }
    pumping = true
    again = only === undefined
    if (only !== undefined) pass(only, tried)
    while (again) {
      again = false
      pump()
    }
    pumping = false
  }
  const stop = leases.onFree(() => settle())
  yield* Effect.addFinalizer(() => Effect.sync(stop))

  const told = (line: WaitingLine, waitMillis: number) => ({
    retryAfter: Math.min(120, Math.max(1, Math.ceil(waitMillis / 1000))),
    queue: { depth: line.size, waitMillis },
  })

  let sweptAt = now()
  const sweep = Effect.sync(() => {
    const at = now()
    const passed = at - sweptAt
    sweptAt = at
    if (waiting === 0) return
    for (const line of lines.values()) {
      for (const entry of line.entries()) {
        if (entry.loading) slipped(entry, passed)
        else if (expired(entry, at)) {
          const { tenant } = entry.demand
          leave(entry)
          const wait = line.waitMillis(line.ahead(tenant, entry.rank), at)
          entry.settle(Effect.fail(refuse("DeadlineExceeded", `waited too long for ${line.model}`, told(line, wait))))
          continue
        }
        line.promote(entry, WaitingLine.rank(entry.demand, at, bounds.ageMillis))
      }
    }
    settle()
  })
  yield* Effect.forkScoped(every(Duration.millis(sweepMillis), sweep))

  const shed = (line: WaitingLine, { tenant }: Demand, rank: number, why: string): Refusal =>
    refuse("QueueFull", why, told(line, line.waitMillis(line.ahead(tenant, rank), now())))

  /** Room for one more, or why there is none. */
  const room = (line: WaitingLine, demand: Demand, rank: number): Refusal | undefined => {
    if (bytes + demand.bytes > bounds.queueBytes) return shed(line, demand, rank, "too many bytes are waiting")
    if (line.size < bounds.queueCapacity) return undefined
    const full = `the queue for ${line.model} is full`
    const other = line.displaced(demand.tenant, rank)
    if (other === undefined) return shed(line, demand, rank, full)
    leave(other)
    other.settle(Effect.fail(shed(line, other.demand, other.rank, full)))
    return undefined
  }

  /** In one synchronous step, so that two cannot take the last place. */
  const join = (
    line: WaitingLine,
    demand: Demand,
    commit: (waiting: number) => Commit,
    loading: boolean,
  ): Entry | Refusal => {
    const at = now()
    const rank = WaitingLine.rank(demand, at, bounds.ageMillis)
    const refusal = room(line, demand, rank)
    if (refusal !== undefined) return refusal
    demand.deadline ??= at + Math.min(demand.queueMillis ?? bounds.queueMillis, bounds.queueMillis)
    const entry = new Entry(line, demand, commit, rank, ++arrivals)
    if (line.size === 0) {
      line.loading = loading
      line.stopped = !loading && demand.excluded.length === 0
    }
    line.add(entry, at)
    bytes += demand.bytes
    waiting++
    demand.waiting = entry
    if (line.loading) demand.cold = true
    return entry
  }

  const admit = <A, E, R>(
    demand: Demand,
    commit: (waiting: number) => Commit,
    use: (lease: Lease) => Effect.Effect<A, E, R>,
  ): Effect.Effect<A, E | Refusal, R> =>
    // Uninterruptible but for the waiting and the use: a lease is never between hands.
    Effect.uninterruptibleMask((restore): Effect.Effect<A, E | Refusal, R> => {
      const line = lineOf(demand.model.key)
      const held = (lease: Lease) => {
        const begun = now()
        line.drain.began()
        return Effect.onExit(restore(Effect.suspend(() => use(lease))), () =>
          Effect.sync(() => {
            line.drain.ended(now() - begun)
            lease.release(unused)
          }))
      }
      const first = line.size === 0
      let loading = false
      if (first || demand.excluded.length > 0) {
        const commits = commit((line?.size ?? 0) + 1)
        if (isLease(commits)) return held(commits)
        if (typeof commits === "object") return Effect.fail(commits)
        loading = commits === "loading"
      }
      const entry = join(line, demand, commit, loading)
      if ("_tag" in entry) return Effect.fail(entry)
      // Those in front wait for something that this one may not need.
      if (!first && !line.stopped && !line.uniform) settle(line)
      return Effect.flatMap(Effect.exit(restore(entry.turn)), (exit): Effect.Effect<A, E | Refusal, R> => {
        leave(entry)
        if (Exit.isSuccess(exit) && entry.lease !== undefined) return held(entry.lease)
        // Interrupted between the grant and the wake-up: give it back, so that the next in line goes.
        entry.lease?.release(unused)
        return Exit.isFailure(exit) ? Effect.failCause(exit.cause) : Effect.die("woken without a lease")
      })
    })

  const snapshot = (line: WaitingLine): QueueSnapshot => {
    const at = now()
    const since = line.entries().reduce((oldest, { demand }) => Math.min(oldest, demand.since), at)
    return {
      model: line.model,
      depth: line.size,
      bytes: line.bytes,
      oldestMillis: at - since,
      waitMillis: line.waitMillis(line.size, at),
      classes: line.depths(),
      tenants: line.shares(),
    }
  }

  return Admission.of({
    admit,
    queues: () => Array.from(lines.values()).filter(({ size }) => size > 0).map(snapshot),
  })
})

const whole = (field: keyof Options, given: number | undefined, otherwise: number, least = 0): number => {
  const value = given ?? otherwise
  if (!Number.isInteger(value) || value < least) {
    throw new RangeError(`BoundedAdmission.layer: ${field} must be a whole number of at least ${least}, got ${value}`)
  }
  return value
}

const weights = (given: Options["tenantWeights"]): ReadonlyMap<string, number> => {
  const map = new Map(Object.entries(given ?? {}))
  for (const [tenant, weight] of map) {
    if (!(weight > 0 && weight < Infinity)) {
      throw new RangeError(`BoundedAdmission.layer: tenantWeights must be above 0, got ${weight} for ${tenant}`)
    }
  }
  return map
}

/**
 * Bounded queues. Memory held by waiting requests is at most `queueBytes` plus their envelopes.
 *
 * **Details**
 *
 * - Within a class tenants take turns, by weight. A retry goes before everybody, at once where it can.
 * - `interactive` goes before `default`, and that before `batch`; each `ageMillis` of waiting makes a request one class better.
 * - Where a queue is full, the tenant with most in it for its weight gives up its latest request to one that has less; else a newcomer takes the place of its
 *   own tenant's latest of a lower class; else it is shed.
 * - Shed and evicted requests are told the depth, and the wait as how fast the queue drains lets expect it: seconds, 1 to 120 in `Retry-After`.
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
      ageMillis: whole("ageMillis", options?.ageMillis, 10_000, 1),
      tenantWeights: weights(options?.tenantWeights),
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
  make({
    queueCapacity: Infinity,
    queueBytes: Infinity,
    queueMillis: Infinity,
    ageMillis: 10_000,
    tenantWeights: new Map(),
  }),
)
