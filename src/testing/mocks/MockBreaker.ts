/**
 * A breaker moved by a test.
 *
 * @since 0.1.0
 */
import { Clock, Context, Effect, Layer, PubSub, Stream } from "effect"
import { Circuit, type Policy } from "../../layers/breaker/Circuit.ts"
import * as Permits from "../../layers/breaker/Permits.ts"
import { Breaker, type BreakerKey, type BreakerState, type BreakerTransition } from "../../services/Breaker.ts"
import type { Outcome } from "../../services/Outcome.ts"
import * as Listeners from "../../support/listeners.ts"

/** A permit that the breaker gave. @category models @since 0.1.0 */
export interface MockPermit {
  readonly backend: string
  readonly model: string
  readonly trial: boolean
  /** `undefined` until it is recorded. */
  readonly outcome: Outcome | undefined
}

const key = "llamero/testing/mocks/MockBreaker/MockCircuits"
const Base: Context.ServiceClass<MockCircuits, typeof key, Service> = Context.Service<MockCircuits, Service>()(key)

/**
 * Test handle. Everything is synchronous.
 *
 * @category services
 * @since 0.1.0
 */
export class MockCircuits extends Base {}

/** The members of `MockCircuits`. @category services @since 0.1.0 */
export interface Service {
  /** Puts the breaker of a backend, or of one model there, in a state. */
  readonly set: (key: BreakerKey, state: BreakerState) => void
  /** The state of that breaker alone. `Breaker.state` of a model is the worse of it and the state of its backend. */
  readonly own: (key: BreakerKey) => BreakerState
  /** Every permit that was given so far, in order. */
  readonly permits: () => ReadonlyArray<MockPermit>
}

/** No failure opens a breaker. */
const policy: Policy = { trip: () => ({ count: () => false, reset: () => {} }), openMillis: () => 1000 }

const make = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const hub = yield* Effect.acquireRelease(PubSub.unbounded<BreakerTransition>(), PubSub.shutdown)
  const listeners = Listeners.make<BreakerTransition>()
  const circuits = new Map<string, Circuit>()
  const permits: Array<MockPermit> = []
  const now = () => clock.currentTimeMillisUnsafe()

  const circuitOf = (key: BreakerKey): Circuit => {
    const id = JSON.stringify([key.backend, key.model])
    const circuit = circuits.get(id) ?? new Circuit(key, policy)
    circuits.set(id, circuit)
    return circuit
  }
  const announce = (transition: BreakerTransition | undefined): void => {
    if (transition === undefined) return
    PubSub.publishUnsafe(hub, transition)
    listeners.notify(transition)
  }
  const move = (circuit: Circuit, state: BreakerState): BreakerTransition | undefined => {
    if (circuit.state === state) return undefined
    if (state === "closed") return circuit.close(now())
    if (state === "open") return circuit.open(now())
    return state === "half-open" ? circuit.halfOpen(now()) : circuit.isolate(now())
  }
  const both = (backend: string, model: string) => [circuitOf({ backend }), circuitOf({ backend, model })] as const

  const breaker = Breaker.of({
    acquire: (backend, model) => {
      const permit = Permits.take(...both(backend, model), now, (_, transition) => announce(transition))
      if (permit === undefined) return undefined
      const given = { backend, model, trial: permit.trial, outcome: undefined as Outcome | undefined }
      permits.push(given)
      return {
        trial: permit.trial,
        record: (outcome) => {
          given.outcome ??= outcome
          permit.record(outcome)
        },
      }
    },
    state: (backend, model) => {
      const whole = circuitOf({ backend }).state
      return model === undefined ? whole : Permits.worse(whole, circuitOf({ backend, model }).state)
    },
    retryMillis: (backend, model) => both(backend, model).every(({ allows }) => allows) ? 0 : 1000,
    isolate: (key) => announce(move(circuitOf(key), "isolated")),
    restore: (key) => announce(circuitOf(key).restore(now())),
    transitions: Stream.fromPubSub(hub),
    onTransition: listeners.add,
  })
  const handle = MockCircuits.of({
    own: (key) => circuitOf(key).state,
    set: (key, state) => announce(move(circuitOf(key), state)),
    permits: () => permits.map((permit) => ({ ...permit })),
  })
  return Context.make(Breaker, breaker).pipe(Context.add(MockCircuits, handle))
})

/**
 * Breakers that are closed until the handle moves them: failures do not open them, and time does not make them
 * half-open. The outcome of a trial closes or opens a half-open one, as in every breaker.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Breaker | MockCircuits> = Layer.effectContext(make)
