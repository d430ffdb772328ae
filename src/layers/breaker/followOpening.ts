/**
 * Follows a circuit from the moment it opens until it is closed or isolated: publishes the opening, waits, asks the
 * store for the trial, makes the circuit half-open and records how the trial ended. Runs in the background.
 *
 * @since 0.1.0
 */
import { type Clock, Deferred, type Duration, Effect, Option } from "effect"
import type { BreakerTransition } from "../../services/Breaker.ts"
import type { Circuit } from "./Circuit.ts"
import type { SharedStore, TrialAnswer } from "./sharedStore.ts"
import * as Outage from "../../support/outage.ts"

/** What is recorded about a trial, by the state of the circuit after it. */
const trialOutcomes = { closed: "Success", open: "Failure", "half-open": "Ignored", isolated: "Ignored" } as const

/** The pause before an opening is followed again after a defect, so that a permanent one does not keep a core busy. */
const defectPause = "1 second"

/** @category models @since 0.1.0 */
export interface Options {
  readonly store: SharedStore
  readonly clock: Clock.Clock
  /** How long a trial that no request takes is kept from other replicas. */
  readonly hold: Duration.Duration
  readonly announce: (transition: BreakerTransition) => void
}

/**
 * The store has closed the circuit, because another replica's trial succeeded. A store that has lost its memory knows
 * of no opening, so its "closed" proves nothing.
 */
const closedElsewhere = (answer: TrialAnswer): boolean =>
  answer._tag === "Granted" && !answer.admission.probe && answer.admission.consecutiveOpenings > 0

/** Returns whether the store knows that this circuit is open. */
const publish = (store: SharedStore, circuit: Circuit): Effect.Effect<boolean> =>
  Effect.scoped(Effect.gen(function* () {
    const answer = yield* store.askForTrial(circuit)
    return answer._tag === "Wait" || (yield* store.record(circuit, answer, "Failure"))
  }))

const waitForTrial = Effect.fnUntraced(function* (store: SharedStore, circuit: Circuit) {
  for (;;) {
    const answer = yield* store.askForTrial(circuit)
    if (answer._tag !== "Wait") return answer
    yield* Effect.sleep(answer.millis)
  }
})

/**
 * Waits for the end of the trial. A trial that no request takes within `hold` is given back to the store, and can
 * still be taken here.
 */
const trialEnd = Effect.fnUntraced(function* (
  { hold, store }: Options,
  circuit: Circuit,
  granted: TrialAnswer,
  end: Deferred.Deferred<void>,
) {
  for (;;) {
    if (Option.isSome(yield* Effect.timeoutOption(Deferred.await(end), hold))) return granted
    if (!circuit.trialTaken) break
  }
  yield* store.record(circuit, granted, "Ignored")
  yield* Deferred.await(end)
  return yield* store.askForTrial(circuit)
})

/** @category constructors @since 0.1.0 */
export const make = (options: Options) => {
  const { announce, clock, store } = options
  const trialEnds = new WeakMap<Circuit, Deferred.Deferred<void>>()

  /** One opening and its trial. Returns whether the trial led to another opening that the store knows of. */
  const opening = Effect.fnUntraced(function* (circuit: Circuit, published: boolean) {
    const { generation } = circuit
    yield* Effect.sleep(Math.max(0, circuit.openUntil - clock.currentTimeMillisUnsafe()))
    const granted = yield* waitForTrial(store, circuit)
    // Isolated in the meantime: another replica can have the trial.
    if (circuit.generation !== generation) {
      yield* store.record(circuit, granted, "Ignored")
      return false
    }
    if (published && closedElsewhere(granted)) {
      announce(circuit.close(clock.currentTimeMillisUnsafe()))
      return false
    }
    const end = Deferred.makeUnsafe<void>()
    trialEnds.set(circuit, end)
    announce(circuit.halfOpen(clock.currentTimeMillisUnsafe()))
    const last = yield* trialEnd(options, circuit, granted, end)
    const { generation: endedAs, state } = circuit
    const recorded = yield* store.record(circuit, last, trialOutcomes[state])
    return recorded && state === "open" && circuit.generation === endedAs
  }, Effect.scoped)

  return {
    /** `local`: the circuit was opened here, so the store has to be told. `circuit.followed` is false afterwards. */
    follow: (circuit: Circuit, local: boolean): Effect.Effect<void> =>
      Effect.gen(function* () {
        let published = !local
        const outage = Outage.make()
        const step = Effect.gen(function* () {
          published ||= yield* publish(store, circuit)
          published = yield* opening(circuit, published)
        })
        while (circuit.state === "open") {
          yield* Effect.catchDefect(step, (defect) =>
            Effect.andThen(
              outage.begins(String(defect), Effect.logError("an open breaker could not be followed", defect)),
              Effect.sleep(defectPause),
            ))
        }
        // In the same synchronous step as the check: an opening in between would never be followed.
        circuit.followed = false
      }),

    /** The trial of a half-open circuit is over. Synchronous. */
    trialEnded: (circuit: Circuit): void => {
      const end = trialEnds.get(circuit)
      if (end !== undefined) Deferred.doneUnsafe(end, Effect.void)
    },
  }
}
