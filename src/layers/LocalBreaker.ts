/**
 * Circuit breakers decided in this process, with transitions shared through a store.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect, FiberSet, Layer, PubSub, Schedule, Stream } from "effect"
import { CircuitBreaker } from "effect/persistence"
import { Breaker, type BreakerState, type BreakerTransition, type Permit } from "../services/Breaker.ts"
import type { Outcome } from "../services/Outcome.ts"
import { backendVerdict, modelVerdict } from "./internal/causes.ts"
import { Circuit, type Policy } from "./internal/circuit.ts"
import * as Listeners from "./internal/listeners.ts"
import * as SharedCircuits from "./internal/sharedCircuits.ts"

/**
 * When breakers open, and how they share it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Failures one after the other that open a breaker. Defaults to `5` (the brief). */
  readonly failuresMax?: number | undefined
  /** The first opening. Defaults to 30 seconds (the brief). */
  readonly openDuration?: Duration.Input | undefined
  /** Each opening is twice as long as the one before, up to this. Defaults to 5 minutes. */
  readonly openDurationMax?: Duration.Input | undefined
  /** Between comparisons with the store. Defaults to 5 seconds. */
  readonly syncInterval?: Duration.Input | undefined
  /** For one call of the store. Defaults to 1 second. */
  readonly storeTimeout?: Duration.Input | undefined
  /** How long a trial that no request takes is kept from other replicas. Defaults to 30 seconds. */
  readonly trialHold?: Duration.Input | undefined
  /** Of the store's keys. Defaults to `"llamero:"`. */
  readonly prefix?: string | undefined
}

/** What `retryMillis` says while a trial is under way: nobody knows how long it takes. */
const trialMillis = 1000

interface Circuits {
  readonly whole: Circuit
  readonly models: Map<string, Circuit>
}

const rank = { closed: 0, "half-open": 1, open: 2 } as const

const worse = (a: BreakerState, b: BreakerState): BreakerState => rank[a] >= rank[b] ? a : b

const policyOf = (options: Options | undefined): Policy => {
  const failuresMax = options?.failuresMax ?? 5
  if (!Number.isInteger(failuresMax) || failuresMax < 1) {
    throw new RangeError(`LocalBreaker.layer: failuresMax must be a whole number of at least 1, got ${failuresMax}`)
  }
  const openMillis = Duration.toMillis(Duration.fromInputUnsafe(options?.openDuration ?? "30 seconds"))
  const openMillisMax = Duration.toMillis(Duration.fromInputUnsafe(options?.openDurationMax ?? "5 minutes"))
  if (!(openMillis > 0)) throw new RangeError(`LocalBreaker.layer: openDuration must be above 0, got ${openMillis} ms`)
  return { failuresMax, openMillis, openMillisMax: Math.max(openMillis, openMillisMax) }
}

const make = Effect.fnUntraced(function* (policy: Policy, options: Options | undefined) {
  const clock = yield* Clock.Clock
  const run = yield* FiberSet.makeRuntime()
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
    prefix: options?.prefix ?? "llamero:",
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
    else if (!circuit.followed) follow(circuit, true)
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

  const acquire = (backend: string, model: string): Permit | undefined => {
    const { models, whole } = circuitsOf(backend)
    let one = models.get(model)
    if (one === undefined) {
      one = new Circuit({ backend, model }, policy)
      models.set(model, one)
    }
    // Both are asked before either gives its trial away.
    return whole.allows && one.allows ? permit(whole, one) : undefined
  }

  const permit = (whole: Circuit, one: Circuit): Permit => {
    const wholeTrial = whole.take()
    const oneTrial = one.take()
    const wholeGeneration = whole.generation
    const oneGeneration = one.generation
    let recorded = false
    return {
      trial: wholeTrial || oneTrial,
      record: (outcome: Outcome) => {
        if (recorded) return
        recorded = true
        const now = clock.currentTimeMillisUnsafe()
        const ofWhole = whole.settle(wholeGeneration, wholeTrial, backendVerdict(outcome, wholeTrial), now)
        const ofOne = one.settle(oneGeneration, oneTrial, modelVerdict(outcome), now)
        moved(whole, ofWhole)
        moved(one, ofOne)
      },
    }
  }

  const retryMillisOf = (circuit: Circuit | undefined): number => {
    if (circuit === undefined || circuit.allows) return 0
    // Past its time an open circuit waits for the store's answer, which takes a moment more.
    return circuit.state === "open" ? Math.max(1, circuit.openUntil - clock.currentTimeMillisUnsafe()) : trialMillis
  }

  /** Takes over what other replicas found out about the keys in use here. */
  const compare = Effect.suspend(() => {
    const used: Array<Circuit> = []
    for (const { models, whole } of backends.values()) {
      for (const circuit of [whole, ...models.values()]) {
        if (circuit.comparisons === 0) continue
        circuit.comparisons--
        if (!circuit.followed) used.push(circuit)
      }
    }
    return Effect.forEach(used, (circuit) => {
      const { generation } = circuit
      return Effect.map(shared.look(circuit), (seen) => {
        if (seen === undefined || circuit.generation !== generation || circuit.followed) return
        const transition = circuit.openFor(seen.millis, seen.openings, clock.currentTimeMillisUnsafe())
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
    acquire,
    state: (backend, model) => {
      const circuits = backends.get(backend)
      if (circuits === undefined) return "closed"
      const one = model === undefined ? undefined : circuits.models.get(model)
      return one === undefined ? circuits.whole.state : worse(circuits.whole.state, one.state)
    },
    retryMillis: (backend, model) => {
      const circuits = backends.get(backend)
      return Math.max(retryMillisOf(circuits?.whole), retryMillisOf(circuits?.models.get(model)))
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
 * export const breaker = LocalBreaker.layer({ failuresMax: 3 }).pipe(Layer.provide(CircuitBreaker.layerStoreMemory()))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Breaker, never, CircuitBreaker.CircuitBreakerStore> =>
  Layer.effect(Breaker, make(policyOf(options), options))
