/**
 * Calls of Effect's `CircuitBreakerStore` for one circuit, each with a time limit. No call fails: when the store does
 * not answer, this process decides alone.
 *
 * @since 0.1.0
 */
import { Duration, Effect, type Scope } from "effect"
import { CircuitBreaker } from "effect/persistence"
import type { Circuit } from "./Circuit.ts"

/**
 * The store's answer to the question whether this process may make the trial:
 *
 * - `Granted`: it may.
 * - `Wait`: ask again after `millis`, because another replica makes the trial or the circuit is still open in the
 *   store.
 * - `Alone`: the store does not answer, so this process decides.
 *
 * @category models
 * @since 0.1.0
 */
export type TrialAnswer =
  | { readonly _tag: "Granted"; readonly admission: CircuitBreaker.Admission }
  | { readonly _tag: "Wait"; readonly millis: number }
  | { readonly _tag: "Alone" }

/** Milliseconds before a replica asks again when another one makes the trial. */
const otherTrialMillis = 1000

/** In the store one failure opens the circuit: the failures were counted here. */
const openAtOnce = CircuitBreaker.consecutive(1)

/** @category models @since 0.1.0 */
export interface StoreOptions {
  readonly store: CircuitBreaker.CircuitBreakerStore["Service"]
  /** Of the store's keys. */
  readonly prefix: string
  /** For one call of the store. */
  readonly timeout: Duration.Duration
}

/** @category models @since 0.1.0 */
export type SharedStore = ReturnType<typeof make>

/** @category constructors @since 0.1.0 */
export const make = ({ prefix, store, timeout }: StoreOptions) => {
  let reported = false

  const storeKey = ({ key }: Circuit): string =>
    prefix + (key.model === undefined ? key.backend : `${key.backend}/${key.model}`)

  /** Logs an outage of the store once, when it begins. */
  const unavailable = (error: unknown) =>
    Effect.suspend(() => {
      if (reported) return Effect.void
      reported = true
      return Effect.logWarning("the breaker's shared store does not answer; this process decides alone", error)
    })

  const ask = <A, R>(call: Effect.Effect<A, CircuitBreaker.CircuitBreakerError, R>) =>
    call.pipe(
      Effect.timeout(timeout),
      // A defect of the store counts as an outage. Otherwise it would leave a circuit open for ever.
      Effect.catchDefect((defect) => Effect.fail({ _tag: "Defect" as const, defect })),
      Effect.tap(() => Effect.sync(() => reported = false)),
    )

  return {
    /** Asks for the trial of a circuit. Closing the scope gives a trial back that was not recorded. */
    askForTrial: (circuit: Circuit): Effect.Effect<TrialAnswer, never, Scope.Scope> =>
      ask(store.admit(storeKey(circuit))).pipe(
        Effect.map((admission): TrialAnswer => ({ _tag: "Granted", admission })),
        Effect.catch((error) => {
          const reason = "reason" in error ? error.reason : undefined
          if (reason?._tag === "CircuitOpen") {
            return Effect.succeed<TrialAnswer>({
              _tag: "Wait",
              millis: Math.max(1, Duration.toMillis(reason.retryAfter)),
            })
          }
          if (reason?._tag === "CircuitHalfOpen") {
            return Effect.succeed<TrialAnswer>({ _tag: "Wait", millis: otherTrialMillis })
          }
          return Effect.as(unavailable(error), { _tag: "Alone" } as TrialAnswer)
        }),
      ),

    /** Writes an outcome into the store. Returns whether the store has it. */
    record: (
      circuit: Circuit,
      answer: TrialAnswer,
      outcome: "Success" | "Failure" | "Ignored",
    ): Effect.Effect<boolean> =>
      answer._tag !== "Granted" ? Effect.succeed(false) : ask(store.record({
        key: storeKey(circuit),
        generation: answer.admission.generation,
        outcome,
        tripPolicy: openAtOnce,
        openFor: Duration.millis(circuit.openedMillis),
      })).pipe(Effect.as(true), Effect.catch((error) => Effect.as(unavailable(error), false))),

    /** How long a circuit that is closed here has to be open according to the store; `undefined` if it has not. */
    openFor: (circuit: Circuit) =>
      ask(store.state(storeKey(circuit))).pipe(
        Effect.map((state) => {
          if (state._tag === "Closed") return undefined
          const millis = state._tag === "Open" ? Duration.toMillis(state.retryAfter) : otherTrialMillis
          return { millis, openings: state.consecutiveOpenings }
        }),
        Effect.catch((error) => Effect.as(unavailable(error), undefined)),
      ),
  }
}
