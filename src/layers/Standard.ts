/**
 * The default router: a stack of layers, one line for each. Start here.
 *
 * A layer is built from the services of the layers below it. Each line below says what the layer does, and which layers
 * it must sit above and below, and why.
 *
 * @since 0.1.0
 */
import { Layer } from "effect"
import { CircuitBreaker } from "effect/persistence"
import * as FailoverRetry from "../plugins/retry/FailoverRetry.ts"
import * as StandardProfile from "../plugins/StandardProfile.ts"
import * as CostAwareVictimPicker from "../plugins/victims/CostAwareVictimPicker.ts"
import { ephemeral } from "../services/Host.ts"
import type { GuardInput, Observer, Plan, RetryPolicy, VictimPicker } from "../services/Plugin.ts"
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
import type { Errors, Lacks, Needs, Places, Provides } from "./standard/stackTypes.ts"
import * as CalibratedTokenEstimator from "./tokens/CalibratedTokenEstimator.ts"

export type { Needs, Places, Provides } from "./standard/stackTypes.ts"

/**
 * Plugins for the standard layers. Each list is in the order in which its plugins are asked.
 *
 * @category models
 * @since 0.1.0
 */
export interface Plugins {
  /** Pass, rewrite or refuse a request before it is queued. Defaults to none. */
  readonly guards?: ReadonlyArray<GuardInput<unknown>> | undefined
  /**
   * Filters, scorers and a picker, which choose the backend; a function chooses a profile for each request. Defaults to
   * `StandardProfile`.
   */
  readonly profile?: ProfilePlacement.ProfileInput | undefined
  /** A second profile that is asked and decides nothing: see `ShadowPlacement`. Defaults to none. */
  readonly shadow?: {
    readonly profile: ProfilePlacement.ProfileInput
    readonly name?: string | undefined
    readonly sample?: number | undefined
  } | undefined
  /** Decides whether a failed attempt is repeated on another backend. Defaults to `FailoverRetry`. */
  readonly retry?: RetryPolicy | undefined
  /** Chooses the models to unload when a load needs room. Defaults to `CostAwareVictimPicker`. */
  readonly victims?: VictimPicker | undefined
  /** Say which models should be in memory. Defaults to none: a model is loaded when a request asks for it. */
  readonly plans?: ReadonlyArray<Plan<unknown>> | undefined
  /** Read every event. Defaults to none. */
  readonly observers?: ReadonlyArray<Observer<unknown>> | undefined
}

/**
 * Layers that replace standard ones, and plugins. Everything has a default, which `layer` states.
 *
 * @category models
 * @since 0.1.0
 */
export type Swaps = { readonly [K in keyof Places]?: Layer.Layer<Places[K][0], unknown, unknown> } & Plugins

/** Plugins of a layer that is swapped. They are options of the new layer: here they would silently do nothing. */
const misplaced = (
  { guards, placement, plans, prewarmer, profile, residency, retry, router, shadow, victims }: Swaps,
): string | undefined => {
  if (router !== undefined && (guards ?? retry) !== undefined) {
    return "guards and retry are options of the router put in"
  }
  if (placement !== undefined && (profile ?? shadow) !== undefined) {
    return "profiles are options of the placement put in"
  }
  if (residency !== undefined && victims !== undefined) return "victims are options of the residency put in"
  if (prewarmer !== undefined && plans !== undefined) return "plans are options of the prewarmer put in"
  return undefined
}

const placementOf = ({ profile, shadow }: Swaps) => {
  const live = ProfilePlacement.layer(profile ?? StandardProfile.make())
  if (shadow === undefined) return live
  const { name, sample } = shadow
  return ShadowPlacement.layer({ name, sample, live, shadow: ProfilePlacement.layer(shadow.profile) })
}

const prewarmerOf = ({ plans }: Swaps) => plans === undefined ? NoPrewarmer.layer : PlannedPrewarmer.layer({ plans })

/** The upper half: the layers that a request passes. */
const pipeline = (put: Swaps) =>
  // Shows every event to the observers. Above all other layers, so that an observer may use any of their services.
  Observers.layer(put.observers ?? []).pipe(
    // Loads the models that plans want before requests ask for them. Above Residency, which does the loads, and above
    // the ledger and health, which say where a model may go; below observers only, since no request waits for it.
    Layer.provideMerge(put.prewarmer ?? prewarmerOf(put)),
    // Runs the pipeline of a request: guards, coalescing, admission, attempts, and one event at the end. Above every
    // layer that a request passes; below the routes and servers, which give it the requests.
    Layer.provideMerge(
      put.router ?? PipelineRouter.layer({ guards: put.guards ?? [], retry: put.retry ?? FailoverRetry.make() }),
    ),
    // Joins requests: identical ones share one upstream call, and queued embedding inputs are sent together. Below the
    // router, which calls it before admission, so that requests that share a call take one place in the queue.
    Layer.provideMerge(put.coalescer ?? MemoryCoalescer.layer()),
    // Estimates the tokens of a prompt, first as one for four characters, then from what backends counted. Below the
    // router, whose guards limit prompts by it and which reports to it the tokens of each answer.
    Layer.provideMerge(put.tokens ?? CalibratedTokenEstimator.layer()),
    // Lets requests start, wait in bounded queues, or be shed. Above Leases, which tell it when a slot is free; below
    // the router, which holds no slot while it waits here.
    Layer.provideMerge(put.admission ?? BoundedAdmission.layer()),
    // Ranks the backends for a request with filters, scorers and a picker. Below the router, which gives it the live
    // view of Leases at each commit; above no layer, since a ranking is a pure function of that view.
    Layer.provideMerge(put.placement ?? placementOf(put)),
    // Sends a request to its backend, passes the answer on byte by byte, and watches its timeouts. Above Transport,
    // which it sends with; below the router, which decides on a retry from what it reports.
    Layer.provideMerge(put.relay ?? WatchedRelay.layer()),
  )

/** The lower half: the layers that know the state of the fleet. They answer no requests. */
const knowledge = (put: Swaps) =>
  // Publishes the changes of health, breakers and residency as events. Above these three, whose changes it listens to,
  // and above the ring, which it writes to.
  EventSources.layer.pipe(
    // Counts streams and pins, and shows the live view of all backends. Above health, breakers, the catalog and
    // residency, since the view shows their state; below Admission and the router, which commit leases on it.
    Layer.provideMerge(put.leases ?? MemoryLeases.layer),
    // Knows which models are in memory, and loads and unloads them. Above the ledger, which must allow a load first,
    // and above the catalog, which knows the names of a model; below Leases, whose view shows it.
    Layer.provideMerge(
      put.residency ?? PollingResidency.layer({ victims: put.victims ?? CostAwareVictimPicker.make() }),
    ),
    // Says whether a model fits into GPU memory. This one does not know the memory: loads are serial, and Ollama
    // decides what fits. Below Residency, which asks it before each load; above the catalog for ledgers that need sizes
    // of models.
    Layer.provideMerge(put.ledger ?? UnmanagedVramLedger.layer),
    // Knows which models exist, each under one name, and on which backends. Above health, so that it reads a backend
    // again when that becomes healthy; below Residency and the router, which look up models in it.
    Layer.provideMerge(put.catalog ?? OllamaModelCatalog.layer()),
    // Says whether a backend is alive, from probes and from the outcomes of attempts. Below the catalog, which reads
    // healthy backends only, and below Leases, which report the outcomes to it.
    Layer.provideMerge(put.health ?? PollingBackendHealth.layer()),
    // Stops requests to a backend that keeps failing, for a time. Its state is kept in this process only. Below Leases,
    // which take a permit for each attempt and report its outcome.
    Layer.provideMerge(put.breaker ?? LocalBreaker.layer().pipe(Layer.provide(CircuitBreaker.layerStoreMemory()))),
    // Keeps one record for each decision in a ring. At the bottom, so that every other layer may write to it.
    Layer.provideMerge(put.events ?? RingRouterEvents.layer()),
  )

/**
 * A whole router, except for the backends and how to reach them.
 *
 * **Details**
 *
 * To swap a layer, name its place: `Standard.layer({ admission: QueuelessAdmission.layer })`. To add plugins, list
 * them: `Standard.layer({ guards: [mine] })`. The type of the result says which services are still needed, by layers
 * and by plugins. Plugins of a swapped layer are options of the new layer; to give them here as well is a `RangeError`.
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
  // Each line of the two halves is typed. The compiler cannot derive that the swaps' errors and needs are those of `S`.
  return pipeline(put).pipe(Layer.provideMerge(knowledge(put))) as Layer.Layer<Provides, never, Needs>
}

/**
 * `layer` for hosts where no process runs between requests. The view of the fleet is read when requests come and not in
 * the background, nothing queues, and each instance counts only its own streams.
 *
 * **Details**
 *
 * The defaults are `QueuelessAdmission`, `IndependentCoalescer` and `RefreshOnRequest`. Layers that keep the truth in
 * memory (`BoundedAdmission`, `MemoryVramLedger`, `PlannedPrewarmer`) fail to build with `NeedsResidentHost`. Breakers
 * and rate limits are shared between instances where they have a Redis.
 *
 * **Gotchas**
 *
 * `WebServer` calls `ViewRefresh` before each request; a listener of your own must do the same. Timers of this process
 * watch running requests and end the open time of breakers. On a host that drops timers between requests, instead of
 * freezing them, an open breaker stays open until the instance ends.
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
