/**
 * Circuit breakers that decide in this process and share their transitions through a store.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect, FiberSet, Layer, PubSub, Random, Schedule, Stream } from "effect"
import { CircuitBreaker, type Redis } from "effect/persistence"
import { Breaker, type BreakerTransition } from "../../services/Breaker.ts"
import * as Listeners from "../../support/listeners.ts"
import * as Outage from "../../support/outage.ts"
import type { Circuit, Policy } from "./Circuit.ts"
import { CircuitTable } from "./circuitTable.ts"
import * as FollowOpening from "./followOpening.ts"
import * as Permits from "./Permits.ts"
import * as BreakerPolicy from "./policy.ts"
import * as SharedStore from "./sharedStore.ts"

/**
 * When breakers open, and how they share their transitions.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * Failures that open a breaker: a number of them in a row, or a share of the last outcomes. Defaults to
   * `CircuitBreaker.consecutive(5)`.
   */
  readonly trip?: CircuitBreaker.TripPolicy | undefined
  /** The length of the first opening. Defaults to 30 seconds. */
  readonly openDuration?: Duration.Input | undefined
  /** Each opening is twice as long as the one before, up to this. Defaults to 5 minutes. */
  readonly openDurationMax?: Duration.Input | undefined
  /**
   * An opening is shortened by a random part of it, at most by this share, so that breakers that opened at the same
   * time do not make their trials at the same time. From 0 to below 1; defaults to `0.1`.
   */
  readonly jitter?: number | undefined
  /** Time between two comparisons with the store. Defaults to 5 seconds. */
  readonly syncInterval?: Duration.Input | undefined
  /** Time limit of one call of the store. Defaults to 1 second. */
  readonly storeTimeout?: Duration.Input | undefined
  /** How long a trial that no request takes is kept from other replicas. Defaults to 30 seconds. */
  readonly trialHold?: Duration.Input | undefined
  /** Prefix of the store's keys. Defaults to `"llamero:breaker:"`. */
  readonly prefix?: string | undefined
}

/** Takes over openings that other replicas found, for the keys that are in use here. */
const compareWithStore = (
  circuits: CircuitTable,
  store: SharedStore.SharedStore,
  openedElsewhere: (circuit: Circuit, millis: number, openings: number) => void,
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const used: Array<Circuit> = []
    for (const circuit of circuits.all()) {
      if (circuit.comparisons === 0) continue
      circuit.comparisons--
      if (circuit.state === "closed" && !circuit.followed) used.push(circuit)
    }
    return Effect.forEach(used, (circuit) => {
      const { generation } = circuit
      return Effect.map(store.openFor(circuit), (open) => {
        if (open === undefined || circuit.generation !== generation || circuit.followed) return
        openedElsewhere(circuit, open.millis, open.openings)
      })
    }, { concurrency: 8, discard: true })
  })

/** The synchronous operations of the service. */
const operations = (
  circuits: CircuitTable,
  now: () => number,
  moved: (circuit: Circuit, transition: BreakerTransition | undefined) => void,
): Pick<Breaker["Service"], "acquire" | "state" | "retryMillis" | "isolate" | "restore"> => ({
  acquire: (backend, model) => {
    const those = circuits.of(backend)
    return Permits.take(those.backend, circuits.ofModel(those, model), now, moved)
  },
  state: (backend, model) => {
    const those = circuits.find(backend)
    if (those === undefined) return "closed"
    const ofModel = model === undefined ? undefined : those.models.get(model)
    return ofModel === undefined ? those.backend.state : Permits.worse(those.backend.state, ofModel.state)
  },
  retryMillis: (backend, model) => {
    const those = circuits.find(backend)
    if (those === undefined) return 0
    const at = now()
    return Math.max(those.backend.retryMillis(at), those.models.get(model)?.retryMillis(at) ?? 0)
  },
  isolate: (key) => {
    const circuit = circuits.byKey(key)
    moved(circuit, circuit.isolate(now()))
  },
  restore: (key) => {
    const circuit = circuits.byKey(key)
    moved(circuit, circuit.restore(now()))
  },
})

const make = Effect.fnUntraced(function* (policyWith: (random: () => number) => Policy, options: Options | undefined) {
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const run = yield* FiberSet.makeRuntime()
  const now = () => clock.currentTimeMillisUnsafe()
  const listeners = yield* Listeners.logged<BreakerTransition>("breaker transitions")
  const hub = yield* Effect.acquireRelease(PubSub.sliding<BreakerTransition>(128), PubSub.shutdown)
  const circuits = new CircuitTable(policyWith(() => random.nextDoubleUnsafe()))

  const announce = (transition: BreakerTransition): void => {
    PubSub.publishUnsafe(hub, transition)
    listeners.notify(transition)
  }
  const store = SharedStore.make({
    store: yield* CircuitBreaker.CircuitBreakerStore,
    prefix: options?.prefix ?? "llamero:breaker:",
    timeout: Duration.fromInputUnsafe(options?.storeTimeout ?? "1 second"),
  })
  const { follow, trialEnded } = FollowOpening.make({
    store,
    clock,
    hold: Duration.fromInputUnsafe(options?.trialHold ?? "30 seconds"),
    announce,
  })

  const startFollowing = (circuit: Circuit, local: boolean): void => {
    circuit.followed = true
    // A fiber starts in the stack of its parent. It yields first, so that a request never waits for a call of the
    // store.
    run(Effect.andThen(Effect.yieldNow, follow(circuit, local)))
  }
  const moved = (circuit: Circuit, transition: BreakerTransition | undefined): void => {
    if (transition === undefined) return
    if (transition.from === "half-open") trialEnded(circuit)
    if (transition.to === "open" && !circuit.followed) startFollowing(circuit, true)
    announce(transition)
  }

  yield* compareWithStore(circuits, store, (circuit, millis, openings) => {
    const transition = circuit.openFor(millis, openings, now())
    startFollowing(circuit, false)
    announce(transition)
  }).pipe(
    Outage.contained("breakers could not be compared with their store"),
    Effect.repeat(Schedule.spaced(options?.syncInterval ?? "5 seconds")),
    Effect.forkScoped,
  )

  return Breaker.of({
    ...operations(circuits, now, moved),
    transitions: Stream.fromPubSub(hub),
    onTransition: listeners.add,
  })
})

/**
 * One breaker for each backend and one for each model on it. An attempt needs a permit from both.
 *
 * **Details**
 *
 * What an outcome counts for:
 *
 * | outcome | backend | model on it |
 * | --- | --- | --- |
 * | success | success | success |
 * | failure to connect (`refused`, `connect-timeout`, `reset`, `protocol`) | failure | - |
 * | failure of an answer (`http-5xx`, `error-record`) | success: it answered | failure |
 * | no answer or a broken one (†) | in a trial: failure; else - | failure |
 * | a stream that ends without its last record (`truncated`) | success: it answered | in a trial: success; else - |
 * | ignored, saturated | - | - |
 *
 * († `first-byte-timeout`, `write-timeout`, `gap-timeout`, `reset-midway`.)
 *
 * A trial whose outcome counts for nothing makes room for the next trial. An outcome of an attempt that began before
 * the last transition counts for nothing.
 *
 * Decisions are local and synchronous. A background fiber for each open breaker writes the transitions to the store,
 * and asks the store for the trial when the opening is over. If replicas share the store, only one of them gets the
 * trial, and the others take over its result. A trial that no request takes within `trialHold` is given back. A store
 * that does not answer is logged once, and this process then decides alone.
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
  Layer.effect(Breaker, make(BreakerPolicy.make(options), options))

/** The store in Redis. Replicas with the same `prefix` share it. @category layers @since 0.1.0 */
export const storeRedis: Layer.Layer<CircuitBreaker.CircuitBreakerStore, never, Redis.Redis> = CircuitBreaker
  .layerStoreRedis({ prefix: "" })

/**
 * `layer`, over `storeRedis`. A replica learns within `syncInterval` that the breaker of another replica has opened.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerRedis = (options?: Options): Layer.Layer<Breaker, never, Redis.Redis> =>
  layer(options).pipe(Layer.provide(storeRedis))
