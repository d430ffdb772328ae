/**
 * The default stack: one line for each layer. Start here.
 *
 * @since 0.1.0
 */
import { Layer } from "effect"
import { CircuitBreaker } from "effect/persistence"
import * as FailoverRetry from "../plugins/retry/FailoverRetry.ts"
import * as StandardProfile from "../plugins/StandardProfile.ts"
import * as CostAwareVictimPicker from "../plugins/victims/CostAwareVictimPicker.ts"
import type { Admission } from "../services/Admission.ts"
import type { BackendHealth } from "../services/BackendHealth.ts"
import type { Breaker } from "../services/Breaker.ts"
import type { Coalescer } from "../services/Coalescer.ts"
import type { Fleet } from "../services/Fleet.ts"
import { ephemeral } from "../services/Host.ts"
import type { Leases } from "../services/Leases.ts"
import type { ModelCatalog } from "../services/ModelCatalog.ts"
import type { OllamaApi } from "../services/OllamaApi.ts"
import type { Placement } from "../services/Placement.ts"
import type { GuardInput, GuardNeeds, Observer, Plan, RetryPolicy } from "../services/Plugin.ts"
import type { Prewarmer } from "../services/Prewarmer.ts"
import type { Relay } from "../services/Relay.ts"
import type { Residency } from "../services/Residency.ts"
import type { Router } from "../services/Router.ts"
import type { RouterEvents } from "../services/RouterEvents.ts"
import type { TokenEstimator } from "../services/TokenEstimator.ts"
import type { Transport } from "../services/Transport.ts"
import type { VramLedger } from "../services/VramLedger.ts"
import * as BoundedAdmission from "./admission/BoundedAdmission.ts"
import * as QueuelessAdmission from "./admission/QueuelessAdmission.ts"
import * as LocalBreaker from "./breaker/LocalBreaker.ts"
import * as OllamaModelCatalog from "./catalog/OllamaModelCatalog.ts"
import * as IndependentCoalescer from "./coalescing/IndependentCoalescer.ts"
import * as MemoryCoalescer from "./coalescing/MemoryCoalescer.ts"
import * as EventSources from "./events/EventSources.ts"
import * as Observers from "./events/Observers.ts"
import * as RingRouterEvents from "./events/RingRouterEvents.ts"
import * as PollingBackendHealth from "./health/PollingBackendHealth.ts"
import * as MemoryLeases from "./leases/MemoryLeases.ts"
import * as UnmanagedVramLedger from "./memory/ledger/UnmanagedVramLedger.ts"
import * as NoPrewarmer from "./memory/prewarm/NoPrewarmer.ts"
import * as PlannedPrewarmer from "./memory/prewarm/PlannedPrewarmer.ts"
import * as PollingResidency from "./memory/residency/PollingResidency.ts"
import * as ProfilePlacement from "./placement/ProfilePlacement.ts"
import * as ShadowPlacement from "./placement/ShadowPlacement.ts"
import * as WatchedRelay from "./relay/WatchedRelay.ts"
import * as PipelineRouter from "./router/PipelineRouter.ts"
import * as RefreshOnRequest from "./server/RefreshOnRequest.ts"
import * as CalibratedTokenEstimator from "./tokens/CalibratedTokenEstimator.ts"

/** What the stack still needs: which backends there are, and how to reach them. @category models @since 0.1.0 */
export type Needs = Fleet | OllamaApi | Transport

/**
 * What each place in the stack provides, and what a layer put there is given; from the bottom up. A layer that needs more than that adds it to the
 * requirements of the whole stack, where the compiler names it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Places {
  readonly events: [provides: RouterEvents, given: Needs]
  readonly breaker: [provides: Breaker, given: Needs | RouterEvents]
  readonly health: [provides: BackendHealth, given: Places["breaker"][1] | Breaker]
  readonly catalog: [provides: ModelCatalog, given: Places["health"][1] | BackendHealth]
  readonly ledger: [provides: VramLedger, given: Places["catalog"][1] | ModelCatalog]
  readonly residency: [provides: Residency, given: Places["ledger"][1] | VramLedger]
  readonly leases: [provides: Leases, given: Places["residency"][1] | Residency]
  readonly relay: [provides: Relay, given: Places["leases"][1] | Leases]
  readonly placement: [provides: Placement, given: Places["relay"][1] | Relay]
  readonly admission: [provides: Admission, given: Places["placement"][1] | Placement]
  readonly tokens: [provides: TokenEstimator, given: Places["admission"][1] | Admission]
  readonly coalescer: [provides: Coalescer, given: Places["tokens"][1] | TokenEstimator]
  readonly router: [provides: Router, given: Places["coalescer"][1] | Coalescer]
  readonly prewarmer: [provides: Prewarmer, given: Places["router"][1] | Router]
}

/** What the stack provides. @category models @since 0.1.0 */
export type Provides = Places[keyof Places][0]

/** Plugins, each kind in the order in which it is asked. @category models @since 0.1.0 */
export interface Plugins {
  /** Asked before a request is queued. Defaults to none. */
  readonly guards?: ReadonlyArray<GuardInput<unknown>> | undefined
  /** Filters, scorers and the picker; a function chooses them for each request. Defaults to `StandardProfile`. */
  readonly profile?: ProfilePlacement.ProfileInput | undefined
  /** A second profile, which is asked and decides nothing: see `ShadowPlacement`. Defaults to none. */
  readonly shadow?: {
    readonly profile: ProfilePlacement.ProfileInput
    readonly name?: string | undefined
    readonly sample?: number | undefined
  } | undefined
  /** What becomes of a failed attempt. Defaults to `FailoverRetry`. */
  readonly retry?: RetryPolicy | undefined
  /** What is to be in memory. Defaults to none: models are loaded when they are asked for. */
  readonly plans?: ReadonlyArray<Plan<unknown>> | undefined
  /** Hear every event. Defaults to none. */
  readonly observers?: ReadonlyArray<Observer<unknown>> | undefined
}

/**
 * Layers to put in place of the standard ones, and plugins. Everything has a default, stated in `layer`.
 *
 * @category models
 * @since 0.1.0
 */
export type Swaps = { readonly [K in keyof Places]?: Layer.Layer<Places[K][0], unknown, unknown> } & Plugins

type Errors<S> = { [K in keyof S]-?: S[K] extends Layer.Layer<infer _A, infer E, infer _R> ? E : never }[keyof S]

/** A function that returns no Effect says nothing of what it needs: it needs nothing. */
type Said<R> = unknown extends R ? never : R

/** What a plugin asks for that the stack around it does not have. */
type Asks<P> = P extends { readonly kind: "plan" }
  ? P extends Plan<infer R> ? Exclude<Said<R>, Places["prewarmer"][1]> : never
  : P extends Observer<infer R> ? Exclude<Said<R>, Needs | Provides>
  : Exclude<Said<GuardNeeds<P>>, Places["router"][1]>

type Lacks<S> = {
  [K in keyof S]-?: S[K] extends Layer.Layer<infer _A, infer _E, infer R>
    ? Exclude<R, K extends keyof Places ? Places[K][1] : never>
    : K extends "guards" | "plans" | "observers" ? S[K] extends ReadonlyArray<infer P> ? Asks<P> : never
    : never
}[keyof S]

/** Plugins that a swapped layer would have to be given itself: left to the stack they would silently do nothing. */
const misplaced = (
  { guards, placement, plans, prewarmer, profile, retry, router, shadow }: Swaps,
): string | undefined => {
  if (router !== undefined && (guards ?? retry) !== undefined) {
    return "guards and retry are options of the router put in"
  }
  if (placement !== undefined && (profile ?? shadow) !== undefined) {
    return "profiles are options of the placement put in"
  }
  if (prewarmer !== undefined && plans !== undefined) return "plans are options of the prewarmer put in"
  return undefined
}

const placed = ({ profile, shadow }: Swaps) => {
  const live = ProfilePlacement.layer(profile ?? StandardProfile.make())
  if (shadow === undefined) return live
  return ShadowPlacement.layer({ ...shadow, live, shadow: ProfilePlacement.layer(shadow.profile) })
}

/**
 * A whole router, but for which backends there are and how to reach them.
 *
 * **Details**
 *
 * To swap a layer, name its place: `Standard.layer({ admission: QueuelessAdmission.layer })`. To add plugins, list them: `Standard.layer({ guards: [mine] })`.
 * The type of the result says what is still needed, by layers and by plugins. Plugins for a layer that is swapped go to that layer; given here as well
 * they are a `RangeError`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: {
  (): Layer.Layer<Provides, never, Needs>
  <const S extends Swaps>(swaps: S): Layer.Layer<Provides, Errors<S>, Needs | Lacks<S>>
} = (put: Swaps = {}): Layer.Layer<Provides, never, Needs> => {
  const wrong = misplaced(put)
  if (wrong !== undefined) throw new RangeError(`Standard.layer: ${wrong}`)
  const stack = Observers.layer(put.observers ?? []).pipe(
    // Has models in memory before anyone asks; above Residency, which loads them.
    Layer.provideMerge(
      put.prewarmer ?? (put.plans === undefined ? NoPrewarmer.layer : PlannedPrewarmer.layer({ plans: put.plans })),
    ),
    // The pipeline; above everything that a request passes.
    Layer.provideMerge(
      put.router ?? PipelineRouter.layer({ guards: put.guards ?? [], retry: put.retry ?? FailoverRetry.make() }),
    ),
    // Identical deterministic requests in flight share a call; embedding inputs that queue travel together.
    Layer.provideMerge(put.coalescer ?? MemoryCoalescer.layer()),
    // Tokens in a prompt: four characters each, until answers have told better.
    Layer.provideMerge(put.tokens ?? CalibratedTokenEstimator.layer()),
    // Bounded queues; above Leases, which say when something is free.
    Layer.provideMerge(put.admission ?? BoundedAdmission.layer()),
    // Filters, scorers and a picker over the live view.
    Layer.provideMerge(put.placement ?? placed(put)),
    // Passes bytes and watches them; above Transport only.
    Layer.provideMerge(put.relay ?? WatchedRelay.layer()),
    // Writes what health, breaker and residency say into the ring.
    Layer.provideMerge(EventSources.layer),
    // Slots and pins, and the live view; above all that the view shows.
    Layer.provideMerge(put.leases ?? MemoryLeases.layer),
    // What is in memory, and loads; above the ledger, which must allow a load first.
    Layer.provideMerge(put.residency ?? PollingResidency.layer({ victims: CostAwareVictimPicker.make() })),
    // Does not know the GPUs' memory: loads are serial and Ollama decides what fits.
    Layer.provideMerge(put.ledger ?? UnmanagedVramLedger.layer),
    // Which models there are, under one name each; above health, which says whom to ask again.
    Layer.provideMerge(put.catalog ?? OllamaModelCatalog.layer()),
    // Alive or not: probes, and what attempts say.
    Layer.provideMerge(put.health ?? PollingBackendHealth.layer()),
    // Holds back from what keeps failing; its transitions are kept in this process.
    Layer.provideMerge(put.breaker ?? LocalBreaker.layer().pipe(Layer.provide(CircuitBreaker.layerStoreMemory()))),
    // One record for each decision; at the bottom, since anyone may write one.
    Layer.provideMerge(put.events ?? RingRouterEvents.layer()),
  )
  // Each line above is typed; only that a swap's own errors and needs are what `S` says is beyond the compiler.
  return stack as Layer.Layer<Provides, never, Needs>
}

/**
 * `layer` for hosts on which no process lives on between requests: nothing is read in the background but when requests come, nothing queues, and each instance
 * counts its own streams only.
 *
 * **Details**
 *
 * `QueuelessAdmission`, `IndependentCoalescer` and `RefreshOnRequest` are in their places. Layers that keep truth in memory (`BoundedAdmission`, `MemoryVramLedger`,
 * `PlannedPrewarmer`) refuse to be built, with a `NeedsResidentHost`. Breakers and rate limits are shared where they are given a Redis.
 *
 * **Gotchas**
 *
 * `WebServer` asks `ViewRefresh` before each request; a listener of your own has to as well. The sweeps that watch running requests, and open breakers, are timers of
 * this process: a host that drops timers between requests, rather than freezing them, keeps an open breaker open until the instance ends.
 *
 * @category layers
 * @since 0.1.0
 */
export const serverless: {
  (): Layer.Layer<Provides, never, Needs>
  <const S extends Swaps>(
    swaps: S,
    refresh?: RefreshOnRequest.Options,
  ): Layer.Layer<Provides, Errors<S>, Needs | Lacks<S>>
} = (put: Swaps = {}, refresh?: RefreshOnRequest.Options): Layer.Layer<Provides, never, Needs> =>
  RefreshOnRequest.layer(refresh).pipe(
    Layer.provideMerge(layer({ admission: QueuelessAdmission.layer, coalescer: IndependentCoalescer.layer, ...put })),
    Layer.provide(ephemeral),
  ) as Layer.Layer<Provides, never, Needs>
