/**
 * Circuit breakers decided in this process, with transitions shared through a store.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect, FiberSet, Layer, PubSub, Random, Schedule, Stream } from "effect"
import { CircuitBreaker, type Redis } from "effect/persistence"
import { Breaker, type BreakerKey, type BreakerTransition } from "../../services/Breaker.ts"
import * as Listeners from "../../support/listeners.ts"
import { Circuit, type Policy } from "./Circuit.ts"
import * as Permits from "./Permits.ts"
import * as SharedCircuits from "./sharedCircuits.ts"
import * as Trip from "./trip.ts"

/**
 * When breakers open, and how they share it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Failures that open a breaker: so many in a row, or such a part of the last ones. Defaults to `CircuitBreaker.consecutive(5)` (the brief). */
  readonly trip?: CircuitBreaker.TripPolicy | undefined
  /** The first opening. Defaults to 30 seconds (the brief). */
  readonly openDuration?: Duration.Input | undefined
  /** Each opening is twice as long as the one before, up to this. Defaults to 5 minutes. */
  readonly openDurationMax?: Duration.Input | undefined
  /** The part of an opening that chance may take off, so that what broke together is not tried again together. Defaults to `0.1`. */
  readonly jitter?: number | undefined
  /** Between comparisons with the store. Defaults to 5 seconds. */
  readonly syncInterval?: Duration.Input | undefined
  /** For one call of the store. Defaults to 1 second. */
  readonly storeTimeout?: Duration.Input | undefined
  /** How long a trial that no request takes is kept from other replicas. Defaults to 30 seconds. */
  readonly trialHold?: Duration.Input | undefined
  /** Of the store's keys. Defaults to `"llamero:breaker:"`. */
  readonly prefix?: string | undefined
}

/** What `retryMillis` says while a trial is under way: nobody knows how long it takes. */
const trialMillis = 1000

interface Circuits {
  readonly whole: Circuit
  readonly models: Map<string, Circuit>
}

/** What `retryMillis` says of what is isolated: an operator decides, not a clock. */
const isolatedMillis = 60_000

const policyOf = (options: Options | undefined): (random: () => number) => Policy => {
  const trip = options?.trip ?? CircuitBreaker.consecutive(5)
  const first = Duration.toMillis(Duration.fromInputUnsafe(options?.openDuration ?? "30 seconds"))
  const last = Math.max(first, Duration.toMillis(Duration.fromInputUnsafe(options?.openDurationMax ?? "5 minutes")))
  const jitter = options?.jitter ?? 0.1
  if (!(first > 0)) throw new RangeError(`LocalBreaker.layer: openDuration must be above 0, got ${first} ms`)
  if (!(jitter >= 0 && jitter < 1)) {
    throw new RangeError(`LocalBreaker.layer: jitter must be at least 0 and below 1, got ${jitter}`)
  }
  return (random) => ({
    trip: () => Trip.make(trip),
    openMillis: (openings) => Math.ceil(Math.min(first * 2 ** openings, last) * (1 - jitter * random())),
  })
}

const make = Effect.fnUntraced(function* (policyWith: (random: () => number) => Policy, options: Options | undefined) {
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const policy = policyWith(() => random.nextDoubleUnsafe())
  const run = yield* FiberSet.makeRuntime()
  const now = () => clock.currentTimeMillisUnsafe()
  const listeners = Listeners.make<BreakerTransition>()
  const hub = yield* Effect.acquireRelease(PubSub.sliding<BreakerTransition>(128), PubSub.shutdown)
  const backends = new Map<string, Circuits>()

  const announce = (transition: BreakerTransition): void => {
    PubSub.publishUnsafe(hub, transition)
    listeners.notify(transition)
  }
  const shared = SharedCircuits.make({
    store: yield* CircuitBreaker.CircuitBreakerStore,
    clock,
    prefix: options?.prefix ?? "llamero:breaker:",
    timeout: Duration.fromInputUnsafe(options?.storeTimeout ?? "1 second"),
    hold: Duration.fromInputUnsafe(options?.trialHold ?? "30 seconds"),
    announce,
  })

  const follow = (circuit: Circuit, local: boolean): void => {
    circuit.followed = true
    // A fiber starts in the stack of who forks it: yield, so that the store is never asked on the path of a request.
    run(Effect.andThen(Effect.yieldNow, shared.follow(circuit, local)))
  }

  /** After every circuit of a permit has been judged, so that listeners find both settled. */
  const moved = (circuit: Circuit, transition: BreakerTransition | undefined): void => {
    if (transition === undefined) return
    if (transition.from === "half-open") shared.settle(circuit)
    else if (transition.to === "open" && !circuit.followed) follow(circuit, true)
    announce(transition)
  }

  const circuitsOf = (backend: string): Circuits => {
    let circuits = backends.get(backend)
    if (circuits === undefined) {
      circuits = { whole: new Circuit({ backend }, policy), models: new Map() }
      backends.set(backend, circuits)
    }
    return circuits
  }

  const modelOn = (circuits: Circuits, model: string): Circuit => {
    let one = circuits.models.get(model)
    if (one === undefined) {
      one = new Circuit({ backend: circuits.whole.key.backend, model }, policy)
      circuits.models.set(model, one)
    }
    return one
  }

  const circuitOf = ({ backend, model }: BreakerKey): Circuit => {
    const circuits = circuitsOf(backend)
    return model === undefined ? circuits.whole : modelOn(circuits, model)
  }

  const retryMillisOf = (circuit: Circuit | undefined): number => {
    if (circuit === undefined || circuit.allows) return 0
    if (circuit.state === "isolated") return isolatedMillis
    // Past its time an open circuit waits for the store's answer, which takes a moment more.
    return circuit.state === "open" ? Math.max(1, circuit.openUntil - now()) : trialMillis
  }

  /** Takes over what other replicas found out about the keys in use here. */
  const compare = Effect.suspend(() => {
    const used: Array<Circuit> = []
    for (const { models, whole } of backends.values()) {
      for (const circuit of [whole, ...models.values()]) {
        if (circuit.comparisons === 0) continue
        circuit.comparisons--
        if (circuit.state === "closed" && !circuit.followed) used.push(circuit)
      }
    }
    return Effect.forEach(used, (circuit) => {
      const { generation } = circuit
      return Effect.map(shared.look(circuit), (seen) => {
        if (seen === undefined || circuit.generation !== generation || circuit.followed) return
        const transition = circuit.openFor(seen.millis, seen.openings, now())
        follow(circuit, false)
        announce(transition)
      })
    }, { concurrency: 8, discard: true })
  })
  yield* compare.pipe(
    Effect.repeat(Schedule.spaced(options?.syncInterval ?? "5 seconds")),
    Effect.forkScoped,
  )

  return Breaker.of({
    acquire: (backend, model) => {
      const circuits = circuitsOf(backend)
      return Permits.take(circuits.whole, modelOn(circuits, model), now, moved)
    },
    state: (backend, model) => {
      const circuits = backends.get(backend)
      if (circuits === undefined) return "closed"
      const one = model === undefined ? undefined : circuits.models.get(model)
      return one === undefined ? circuits.whole.state : Permits.worse(circuits.whole.state, one.state)
    },
    retryMillis: (backend, model) => {
      const circuits = backends.get(backend)
      return Math.max(retryMillisOf(circuits?.whole), retryMillisOf(circuits?.models.get(model)))
    },
    isolate: (key) => {
      const circuit = circuitOf(key)
      moved(circuit, circuit.isolate(now()))
    },
    restore: (key) => {
      const circuit = circuitOf(key)
      moved(circuit, circuit.restore(now()))
    },
    transitions: Stream.fromPubSub(hub),
    onTransition: listeners.add,
  })
})

/**
 * One breaker for each backend and one for each model on it; an attempt needs a permit from both.
 *
 * **Details**
 *
 * What an outcome counts for:
 *
 * | outcome | backend | model there |
 * | --- | --- | --- |
 * | success | success | success |
 * | failure to connect (`refused`, `connect-timeout`, `reset`, `protocol`) | failure | - |
 * | failure of an answer (`http-5xx`, `error-record`) | success: it answered | failure |
 * | silence or a broken answer (`first-byte-timeout`, `gap-timeout`, `truncated`, `reset-midway`) | of its trial: failure; else - | failure |
 * | ignored, saturated | - | - |
 *
 * A trial whose outcome counts for nothing makes room for the next trial. An outcome that began before the last transition counts for nothing.
 *
 * Decisions are local and synchronous. A fiber for each open breaker, never a request, writes transitions to the store, and asks the store for the trial
 * when the opening is over: with a store shared between replicas only one of them gets it, and the others follow what it finds. A trial that no
 * request takes for `trialHold` is given back. If the store fails, that is logged once and this process decides alone.
 *
 * **Example** (In one process)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { CircuitBreaker } from "effect/persistence"
 * import * as LocalBreaker from "./LocalBreaker.ts"
 *
 * export const breaker = LocalBreaker.layer({ trip: CircuitBreaker.rate({ threshold: 0.5, size: 20 }) }).pipe(
 *   Layer.provide(CircuitBreaker.layerStoreMemory()),
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Breaker, never, CircuitBreaker.CircuitBreakerStore> =>
  Layer.effect(Breaker, make(policyOf(options), options))

/** The store in Redis: all replicas with the same `prefix` share it. @category layers @since 0.1.0 */
export const storeRedis: Layer.Layer<CircuitBreaker.CircuitBreakerStore, never, Redis.Redis> = CircuitBreaker
  .layerStoreRedis({ prefix: "" })

/**
 * `layer`, over `storeRedis`. A replica learns within `syncInterval` that another one's breaker has opened.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerRedis = (options?: Options): Layer.Layer<Breaker, never, Redis.Redis> =>
  layer(options).pipe(Layer.provide(storeRedis))
