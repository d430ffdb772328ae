/**
 * The types of all kinds of plugins. A plugin is a small value with a kind, a name and its functions.
 *
 * @since 0.1.0
 */
import type { Duration, Effect } from "effect"
import type { BackendView, FleetView } from "./FleetView.ts"
import type { Switchable } from "./Live.ts"
import type { Outcome } from "./Outcome.ts"
import type { Refusal } from "./Refusal.ts"
import type { Changes, Demand, RoutedRequest } from "./RoutedRequest.ts"
import type { RouterEvent } from "./RouterEvents.ts"

/** Drops backends that cannot serve a request. Pure and synchronous. @category models @since 0.1.0 */
export interface Filter {
  readonly kind: "filter"
  readonly name: string
  readonly keep: (view: BackendView, demand: Demand) => boolean
}

/**
 * Rates a backend in [0, 1], higher is better. A number outside is clamped, and `NaN` counts as 0. Pure and
 * synchronous.
 *
 * @category models
 * @since 0.1.0
 */
export interface Scorer {
  readonly kind: "scorer"
  readonly name: string
  readonly score: (view: BackendView, demand: Demand, fleet: FleetView) => number
}

/** A backend considered for one request, with the sum of its weighted scores. @category models @since 0.1.0 */
export interface Candidate {
  readonly view: BackendView
  readonly score: number
}

/**
 * Chooses one candidate. If the chosen backend cannot give a lease, the picker is called again without it. `random`
 * returns seeded numbers in [0, 1).
 *
 * @category models
 * @since 0.1.0
 */
export interface Picker {
  readonly kind: "picker"
  readonly name: string
  /** An index into `candidates`, which is never empty. */
  readonly pick: (candidates: ReadonlyArray<Candidate>, demand: Demand, random: () => number) => number
  /**
   * For a picker that draws no random numbers: whether it picks `a` before `b`. Where neither comes first, it picks the
   * one that is earlier in the list. With it, a long list of candidates is sorted once. Without it, `pick` is called
   * for each of them.
   */
  readonly before?: ((a: Candidate, b: Candidate) => boolean) | undefined
}

/** A named set of filters, scorers with weights, and one picker. @category models @since 0.1.0 */
export interface Profile {
  readonly name: string
  readonly filters: ReadonlyArray<Filter>
  readonly scorers: ReadonlyArray<{ readonly scorer: Scorer; readonly weight: number }>
  readonly picker: Picker
}

/**
 * The decision of a guard: pass, with or without a rewrite, or refuse.
 *
 * @category models
 * @since 0.1.0
 */
export type Verdict =
  | {
    readonly _tag: "Pass"
    readonly request: RoutedRequest
    /**
     * Changes that the router makes in the body of `request`; the rest of the body stays as the client sent it. When
     * the model changes, the answer names it in `X-Llamero-Model`.
     */
    readonly rewrite?: Changes | undefined
    /** Headers for the answer: names and values in turn. */
    readonly headers?: ReadonlyArray<string> | undefined
    /**
     * Called once when the request has ended, in whatever way. Here a guard can charge or give back its reservation.
     */
    readonly settled?: ((outcome: Outcome) => void) | undefined
  }
  | Refusal

/**
 * Passes, rewrites or refuses a request before it is queued. A guard that needs no I/O returns a plain value: this is
 * faster than an Effect. Metrics count, by the guard's name, how often it passes, refuses and fails, and how long it
 * takes.
 *
 * **Details**
 *
 * A check that is an Effect is never interrupted, neither by its time limit nor when its client leaves. If it passes a
 * request that has ended already, `settled` is called at once, so that nothing stays reserved.
 *
 * @category models
 * @since 0.1.0
 */
export interface Guard<R = never> extends Switchable {
  readonly kind: "guard"
  /** A fixed text, since it is a label of metrics. */
  readonly name: string
  readonly check: (request: RoutedRequest) => Verdict | Effect.Effect<Verdict, never, R>
  /**
   * What happens to the request when the check dies or takes too long: `closed` refuses it (500, 503), `open` lets it
   * pass. Defaults to `closed`.
   */
  readonly fails?: "closed" | "open" | undefined
  /** The longest time for a check that is an Effect. Defaults to 5 seconds. */
  readonly timeLimit?: Duration.Input | undefined
}

/**
 * A guard, or an Effect that makes one from services of the stack when the router is built.
 *
 * @category models
 * @since 0.1.0
 */
export type GuardInput<R = never> = Guard<R> | Effect.Effect<Guard<R>, never, R>

/** The services that a guard requires. @category models @since 0.1.0 */
export type GuardNeeds<G> = G extends Guard<infer R> ? R
  : G extends Effect.Effect<Guard<infer A>, never, infer B> ? A | B
  : never

/** An attempt that failed, for a retry policy to decide on. @category models @since 0.1.0 */
export interface FailedAttempt {
  readonly demand: Demand
  readonly backend: string
  readonly outcome: Outcome
  /** Attempts made so far, this one included. */
  readonly attempts: number
}

/**
 * Decides whether a request is tried on another backend. It is asked only while no byte of a backend was passed on, and
 * never for calls with side effects.
 *
 * @category models
 * @since 0.1.0
 */
export interface RetryPolicy {
  readonly kind: "retry"
  readonly name: string
  /** Called once for each request, so that a budget can count them. `now` is in milliseconds by the router's clock. */
  readonly seen: (now: number) => void
  readonly decide: (failed: FailedAttempt, now: number) => "elsewhere" | "give-up"
  /** How many retries the budget has left, for metrics; absent where the policy has no budget. */
  readonly budget?: ((now: number) => number) | undefined
  /**
   * When a second attempt starts while the first one is slow. `decide` must allow it like any other attempt. Defaults
   * to never.
   */
  readonly hedging?: Hedging | undefined
}

/**
 * Says when an attempt is slow. The router decides on the hedge itself: at most one for a request, to a backend that
 * has the model in memory. The first attempt that answers is relayed, and the other one is aborted.
 *
 * @category models
 * @since 0.1.0
 */
export interface Hedging {
  /** Milliseconds without a first byte after which an attempt is slow; `undefined` while too few are known. */
  readonly after: (demand: Demand, streams: boolean) => number | undefined
  /** The milliseconds of a first attempt to its first byte, or until the second attempt answered. */
  readonly observed: (demand: Demand, streams: boolean, firstByteMillis: number) => void
}

/** Reads events. It can neither slow a request down nor make it fail. @category models @since 0.1.0 */
export interface Observer<R = never> extends Switchable {
  readonly kind: "observer"
  readonly name: string
  readonly observe: (event: RouterEvent) => void | Effect.Effect<void, never, R>
}

/** A model that a plan wants in memory. @category models @since 0.1.0 */
export interface PrewarmTarget {
  readonly model: string
  /** The backends that should have it. Defaults to the best one. */
  readonly backends?: ReadonlyArray<string> | undefined
  /** The number of backends that should have it, where `backends` is absent. Defaults to `1`. */
  readonly replicas?: number | undefined
  /** Whether idle models may be unloaded for it. Defaults to `false`: it is loaded into free memory only. */
  readonly evicts?: boolean | undefined
  /** Whether it is never unloaded to make room while the plan wants it. Defaults to `false`. */
  readonly pinned?: boolean | undefined
  /** Whether it is loaded only once, and not again when it was unloaded. Defaults to `false`. */
  readonly once?: boolean | undefined
  /** Whether it is unloaded, when idle, as soon as the plan no longer wants it. Defaults to `false`. */
  readonly released?: boolean | undefined
  /** Whether the router is ready only after it was loaded. Defaults to `false`. */
  readonly gates?: boolean | undefined
}

/** Says which models should be in memory. @category models @since 0.1.0 */
export interface Plan<R = never> {
  readonly kind: "plan"
  readonly name: string
  /** The models wanted at `now`, in milliseconds by the router's clock. */
  readonly targets: (now: number) => Effect.Effect<ReadonlyArray<PrewarmTarget>, never, R>
}

/** A model that may be unloaded. @category models @since 0.1.0 */
export interface Victim {
  readonly backend: string
  readonly model: string
  /** Bytes that would become free on the devices where room is wanted. */
  readonly bytes: number
  /** Milliseconds of a load: measured where the model was loaded before, else estimated. */
  readonly loadMillis: number
  /** Milliseconds by the router's clock, as `now`. */
  readonly lastUsedAt: number
  /** Milliseconds by the router's clock. */
  readonly loadedAt: number
  /** Recent uses per millisecond. */
  readonly rate: number
  /** Milliseconds that Ollama would keep it; `Infinity` for ever, `undefined` when unknown. */
  readonly keepAliveMillis: number | undefined
  /** Digest of its weights, where known. */
  readonly blob: string | undefined
}

/**
 * Picks the models to unload: indices into `victims`, or none when all of them would not free enough.
 *
 * **Details**
 *
 * Pinned and loading models are never among the victims. Busy models are among them only when a load has waited too
 * long for idle ones. A busy victim gets no new requests, and is unloaded when it is idle.
 *
 * @category models
 * @since 0.1.0
 */
export interface VictimPicker {
  readonly kind: "victim-picker"
  readonly name: string
  readonly pick: (victims: ReadonlyArray<Victim>, bytesWanted: number, now: number) => ReadonlyArray<number>
}
