/**
 * Carries the transitions of circuits through Effect's `CircuitBreakerStore`, off the path of requests.
 *
 * @since 0.1.0
 */
import { type Clock, Deferred, Duration, Effect, Option, type Scope } from "effect"
import { CircuitBreaker } from "effect/persistence"
import type { BreakerTransition } from "../../services/Breaker.ts"
import type { Circuit } from "./Circuit.ts"

/** What a store answers when it is asked for a trial, or cannot be asked. */
type Turn =
  | { readonly _tag: "Granted"; readonly admission: CircuitBreaker.Admission }
  | { readonly _tag: "Wait"; readonly millis: number }
  | { readonly _tag: "Alone" }

/** Milliseconds until a replica that found another one's trial under way asks again. */
const otherTrialMillis = 1000

const tripAtOnce = CircuitBreaker.consecutive(1)

/** What a trial has shown, by the state of its circuit afterwards. */
const verdicts = { closed: "Success", open: "Failure", "half-open": "Ignored", isolated: "Ignored" } as const

/** @category models @since 0.1.0 */
export interface Options {
  readonly store: CircuitBreaker.CircuitBreakerStore["Service"]
  readonly clock: Clock.Clock
  readonly prefix: string
  /** For one call of the store. */
  readonly timeout: Duration.Duration
  /** How long a trial that no request takes is kept from other replicas. */
  readonly hold: Duration.Duration
  readonly announce: (transition: BreakerTransition) => void
}

/**
 * The background half of a breaker.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options) => {
  const { announce, clock, store } = options
  const settled = new WeakMap<Circuit, Deferred.Deferred<void>>()
  let reported = false

  const storeKey = ({ key }: Circuit): string =>
    options.prefix + (key.model === undefined ? key.backend : `${key.backend}/${key.model}`)

  /** An outage of the store is logged once, when it begins; what was decided here stays decided. */
  const unavailable = (error: unknown) =>
    Effect.suspend(() => {
      if (reported) return Effect.void
      reported = true
      return Effect.logWarning("the breaker's shared store does not answer; this process decides alone", error)
    })

  const ask = <A, R>(call: Effect.Effect<A, CircuitBreaker.CircuitBreakerError, R>) =>
    call.pipe(
      Effect.timeout(options.timeout),
      // A store that is broken must not leave a circuit open for ever.
      Effect.catchDefect((defect) => Effect.fail({ _tag: "Defect" as const, defect })),
      Effect.tap(() => Effect.sync(() => reported = false)),
    )

  const admit = (circuit: Circuit): Effect.Effect<Turn, never, Scope.Scope> =>
    ask(store.admit(storeKey(circuit))).pipe(
      Effect.map((admission): Turn => ({ _tag: "Granted", admission })),
      Effect.catch((error) => {
        const reason = "reason" in error ? error.reason : undefined
        if (reason?._tag === "CircuitOpen") {
          return Effect.succeed<Turn>({ _tag: "Wait", millis: Math.max(1, Duration.toMillis(reason.retryAfter)) })
        }
        if (reason?._tag === "CircuitHalfOpen") return Effect.succeed<Turn>({ _tag: "Wait", millis: otherTrialMillis })
        return Effect.as(unavailable(error), { _tag: "Alone" } as Turn)
      }),
    )

  /** Whether the store has it now. */
  const record = (circuit: Circuit, turn: Turn, outcome: "Success" | "Failure" | "Ignored"): Effect.Effect<boolean> =>
    turn._tag !== "Granted" ? Effect.succeed(false) : ask(store.record({
      key: storeKey(circuit),
      generation: turn.admission.generation,
      outcome,
      tripPolicy: tripAtOnce,
      openFor: Duration.millis(circuit.openedMillis),
    })).pipe(Effect.as(true), Effect.catch((error) => Effect.as(unavailable(error), false)))

  /** Whether the store knows now that this circuit is open. */
  const publish = (circuit: Circuit): Effect.Effect<boolean> =>
    Effect.scoped(Effect.gen(function* () {
      const turn = yield* admit(circuit)
      return turn._tag === "Wait" || (yield* record(circuit, turn, "Failure"))
    }))

  const turn = Effect.fnUntraced(function* (circuit: Circuit) {
    for (;;) {
      const answer = yield* admit(circuit)
      if (answer._tag !== "Wait") return answer
      yield* Effect.sleep(answer.millis)
    }
  })

  /** Waits for the trial's end. A trial that nobody takes goes back to the store after `hold`, and stays possible here. */
  const judged = Effect.fnUntraced(function* (circuit: Circuit, granted: Turn, end: Deferred.Deferred<void>) {
    for (;;) {
      if (Option.isSome(yield* Effect.timeoutOption(Deferred.await(end), options.hold))) return granted
      if (!circuit.trialTaken) break
    }
    yield* record(circuit, granted, "Ignored")
    yield* Deferred.await(end)
    return yield* admit(circuit)
  })

  /** The store is closed again, because another replica's trial went well. One that has lost its memory knows of no opening, and proves nothing. */
  const closedElsewhere = (granted: Turn): boolean =>
    granted._tag === "Granted" && !granted.admission.probe && granted.admission.consecutiveOpenings > 0

  /** One opening, from the moment it is over to the end of its trial. Whether it opened another one that the store knows of. */
  const trial = Effect.fnUntraced(function* (circuit: Circuit, known: boolean) {
    const { generation } = circuit
    yield* Effect.sleep(Math.max(0, circuit.openUntil - clock.currentTimeMillisUnsafe()))
    const granted = yield* turn(circuit)
    // Isolated meanwhile: the trial is for others.
    if (circuit.generation !== generation) {
      yield* record(circuit, granted, "Ignored")
      return false
    }
    if (known && closedElsewhere(granted)) {
      announce(circuit.close(clock.currentTimeMillisUnsafe()))
      return false
    }
    const end = Deferred.makeUnsafe<void>()
    settled.set(circuit, end)
    announce(circuit.halfOpen(clock.currentTimeMillisUnsafe()))
    const last = yield* judged(circuit, granted, end)
    const { generation: judgedAs, state } = circuit
    return (yield* record(circuit, last, verdicts[state])) && state === "open" && circuit.generation === judgedAs
  }, Effect.scoped)

  return {
    /** Follows a circuit that has just opened until it is closed, or isolated. */
    follow: Effect.fnUntraced(function* (circuit: Circuit, local: boolean) {
      let known = !local
      while (circuit.state === "open") {
        known ||= yield* publish(circuit)
        known = yield* trial(circuit, known)
      }
      circuit.followed = false
    }),
    /** The trial of a half-open circuit is over. Synchronous. */
    settle: (circuit: Circuit): void => {
      const end = settled.get(circuit)
      if (end !== undefined) Deferred.doneUnsafe(end, Effect.void)
    },
    /** How long the store says that a circuit closed here has to be open; `undefined` when it does not. */
    look: (circuit: Circuit) =>
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
