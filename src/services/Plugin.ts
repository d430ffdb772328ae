/**
 * The kinds of plugin: each a small value with a name and one function.
 *
 * @since 0.1.0
 */
import type { Duration, Effect } from "effect"
import type { BackendView, FleetView } from "./FleetView.ts"
import type { Outcome } from "./Outcome.ts"
import type { Refusal } from "./Refusal.ts"
import type { Changes, Demand, RoutedRequest } from "./RoutedRequest.ts"
import type { RouterEvent } from "./RouterEvents.ts"

/** Drops the unfit. Pure and synchronous over the view. @category models @since 0.1.0 */
export interface Filter {
  readonly kind: "filter"
  readonly name: string
  readonly keep: (view: BackendView, demand: Demand) => boolean
}

/** Rates in [0, 1]; what is outside is clamped, `NaN` counts as 0. Pure and synchronous over the view. @category models @since 0.1.0 */
export interface Scorer {
  readonly kind: "scorer"
  readonly name: string
  readonly score: (view: BackendView, demand: Demand, fleet: FleetView) => number
}

/** A backend considered for one request, with its weighted score. @category models @since 0.1.0 */
export interface Candidate {
  readonly view: BackendView
  readonly score: number
}

/**
 * Chooses one. Called again without the ones already refused, so it gives an order. `random` is seeded: in [0, 1).
 *
 * @category models
 * @since 0.1.0
 */
export interface Picker {
  readonly kind: "picker"
  readonly name: string
  /** Index into `candidates`, which is never empty. */
  readonly pick: (candidates: ReadonlyArray<Candidate>, demand: Demand, random: () => number) => number
}

/** A named set of filters, scorers with weights, and one picker. @category models @since 0.1.0 */
export interface Profile {
  readonly name: string
  readonly filters: ReadonlyArray<Filter>
  readonly scorers: ReadonlyArray<{ readonly scorer: Scorer; readonly weight: number }>
  readonly picker: Picker
}

/**
 * What a guard decides: pass (perhaps rewritten), or refuse.
 *
 * @category models
 * @since 0.1.0
 */
export type Verdict =
  | {
    readonly _tag: "Pass"
    readonly request: RoutedRequest
    /** What the router is to change in the body of `request`: a splice, the rest stays as the client sent it. Of another model the client is told in `X-Llamero-Model`. */
    readonly rewrite?: Changes | undefined
    /** Sent with the answer: alternating names and values. */
    readonly headers?: ReadonlyArray<string> | undefined
    /** Called once, when the request has ended in whatever way: to give back or to charge what the guard has reserved. */
    readonly settled?: ((outcome: Outcome) => void) | undefined
  }
  | Refusal

/**
 * Passes, rewrites or refuses a request, before it is queued. A guard that needs no I/O answers with a plain value and costs no fiber step. How often it
 * passes, refuses and fails, and how long it takes, is in the metrics by its name.
 *
 * **Details**
 *
 * A check that is an Effect is never interrupted, not by its time limit and not when its client leaves. What it lets pass after its request has ended is
 * settled at once, so that nothing stays reserved.
 *
 * @category models
 * @since 0.1.0
 */
export interface Guard<R = never> {
  readonly kind: "guard"
  /** From a closed set: it is a label of metrics. */
  readonly name: string
  readonly check: (request: RoutedRequest) => Verdict | Effect.Effect<Verdict, never, R>
  /** When it dies or takes too long: `closed` refuses the request (500, 503), `open` lets it pass. Defaults to `closed`. */
  readonly fails?: "closed" | "open" | undefined
  /** For a check that is an Effect. Defaults to 5 seconds. */
  readonly timeLimit?: Duration.Input | undefined
}

/**
 * What a router takes for a guard: the value, or the Effect that makes it from services of the stack when the router is built.
 *
 * @category models
 * @since 0.1.0
 */
export type GuardInput<R = never> = Guard<R> | Effect.Effect<Guard<R>, never, R>

/** The services that a guard asks for. @category models @since 0.1.0 */
export type GuardNeeds<G> = G extends Guard<infer R> ? R
  : G extends Effect.Effect<Guard<infer A>, never, infer B> ? A | B
  : never

/** What a failed attempt leaves to decide on. @category models @since 0.1.0 */
export interface FailedAttempt {
  readonly demand: Demand
  readonly backend: string
  readonly outcome: Outcome
  /** Attempts made, this one included. */
  readonly attempts: number
}

/**
 * Again elsewhere, or give up. Asked only while no byte of a backend was passed on, and never for calls with side effects.
 *
 * @category models
 * @since 0.1.0
 */
export interface RetryPolicy {
  readonly kind: "retry"
  readonly name: string
  /** Every request counts towards a budget. Called once for each. */
  readonly seen: (now: number) => void
  readonly decide: (failed: FailedAttempt, now: number) => "elsewhere" | "give-up"
  /** When a second attempt begins beside a first one that is slow; `decide` is asked for it as for any other. Absent: never. */
  readonly hedging?: Hedging | undefined
}

/**
 * When an attempt is slow. What it may become is the router's rule: one hedge for a request, to a backend that has the model in memory; who answers first is
 * relayed, the other one aborted.
 *
 * @category models
 * @since 0.1.0
 */
export interface Hedging {
  /** Milliseconds without a first byte after which it is; `undefined` while there is nothing to go by. */
  readonly after: (demand: Demand, streams: boolean) => number | undefined
  /** What a first attempt took to its first byte, or had taken when the second one answered. */
  readonly observed: (demand: Demand, streams: boolean, firstByteMillis: number) => void
}

/** Reads events; can slow nothing down and break nothing. @category models @since 0.1.0 */
export interface Observer<R = never> {
  readonly kind: "observer"
  readonly name: string
  readonly observe: (event: RouterEvent) => void | Effect.Effect<void, never, R>
}

/** A model to keep in memory. @category models @since 0.1.0 */
export interface PrewarmTarget {
  readonly model: string
  /** On which backends; on the best one when absent. */
  readonly backends?: ReadonlyArray<string> | undefined
  /** On how many, where `backends` does not say. Defaults to `1`. */
  readonly replicas?: number | undefined
  /** Whether idle models may be unloaded for it. Defaults to `false`: into free memory only. */
  readonly evicts?: boolean | undefined
  /** Whether it is never unloaded to make room while the plan wants it. Defaults to `false`. */
  readonly pinned?: boolean | undefined
  /** Loaded once; what becomes of it later is for others to say. Defaults to `false`. */
  readonly once?: boolean | undefined
  /** Unloaded, when idle, as soon as the plan no longer wants it. Defaults to `false`. */
  readonly released?: boolean | undefined
  /** Whether readiness waits for it. Defaults to `false`. */
  readonly gates?: boolean | undefined
}

/** Says what should be in memory. @category models @since 0.1.0 */
export interface Plan<R = never> {
  readonly kind: "plan"
  readonly name: string
  readonly targets: (now: number) => Effect.Effect<ReadonlyArray<PrewarmTarget>, never, R>
}

/** What may be unloaded. @category models @since 0.1.0 */
export interface Victim {
  readonly backend: string
  readonly model: string
  /** That would come back where memory is wanted. */
  readonly bytes: number
  /** Measured where it was loaded before, else estimated. */
  readonly loadMillis: number
  /** Milliseconds by the router's clock, as `now`. */
  readonly lastUsedAt: number
  readonly loadedAt: number
  /** Uses per millisecond, of late. */
  readonly rate: number
  /** Milliseconds Ollama would keep it; `Infinity` for ever, `undefined` when not known. */
  readonly keepAliveMillis: number | undefined
  /** Digest of its weights, where known. */
  readonly blob: string | undefined
}

/**
 * Picks what to unload: indices into `victims`, none when they would not free enough. Never among them: what is pinned or loading. What is busy is only
 * when a load has waited too long for something idle; a busy victim gets no new requests, and is unloaded when it has become idle.
 *
 * @category models
 * @since 0.1.0
 */
export interface VictimPicker {
  readonly kind: "victim-picker"
  readonly name: string
  readonly pick: (victims: ReadonlyArray<Victim>, bytesWanted: number, now: number) => ReadonlyArray<number>
}
