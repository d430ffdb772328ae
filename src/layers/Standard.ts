/**
 * The default router: a stack of layers, with one line of code for each. Start here.
 *
 * A layer uses the services of the layers below it. The comment on each layer says what the layer does, which layers it
 * must be above and below, and why.
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
  /** Guards pass, change or refuse a request before it is queued. Defaults to none. */
  readonly guards?: ReadonlyArray<GuardInput<unknown>> | undefined
  /**
   * Filters, scorers and a picker, which choose the backend; or a function that chooses such a profile for each
   * request. Defaults to `StandardProfile`.
   */
  readonly profile?: ProfilePlacement.ProfileInput | undefined
  /** A second profile, whose choices are recorded and not used: see `ShadowPlacement`. Defaults to none. */
  readonly shadow?: {
    readonly profile: ProfilePlacement.ProfileInput
    readonly name?: string | undefined
    readonly sample?: number | undefined
  } | undefined
  /** Decides whether a failed attempt is repeated on another backend. Defaults to `FailoverRetry`. */
  readonly retry?: RetryPolicy | undefined
  /** Chooses the models to unload when a load needs room. Defaults to `CostAwareVictimPicker`. */
  readonly victims?: VictimPicker | undefined
  /** Plans say which models should be in memory. Defaults to none: a model is loaded when a request asks for it. */
  readonly plans?: ReadonlyArray<Plan<unknown>> | undefined
  /** Observers read every event. Defaults to none. */
  readonly observers?: ReadonlyArray<Observer<unknown>> | undefined
}

/**
 * Layers that replace standard ones, and plugins. Everything has a default, which `layer` states.
 *
 * @category models
 * @since 0.1.0
 */
export type Swaps = { readonly [K in keyof Places]?: Layer.Layer<Places[K][0], unknown, unknown> } & Plugins

/**
 * The error when a plugin is given for a layer that is swapped. Such a plugin is an option of the new layer: here it
 * would have no effect.
 */
const misplaced = (
  { guards, placement, plans, prewarmer, profile, residency, retry, router, shadow, victims }: Swaps,
): string | undefined => {
  if (router !== undefined && (guards ?? retry) !== undefined) {
    return "guards and retry are options of the router that is swapped in"
  }
  if (placement !== undefined && (profile ?? shadow) !== undefined) {
    return "profiles are options of the placement that is swapped in"
  }
  if (residency !== undefined && victims !== undefined) return "victims are options of the residency that is swapped in"
  if (prewarmer !== undefined && plans !== undefined) return "plans are options of the prewarmer that is swapped in"
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
  // Passes every event to the observers. Above all other layers, so that an observer may use any of their services.
  Observers.layer(put.observers ?? []).pipe(
    // Loads the models that plans want, before requests ask for them. Above Residency, which runs the loads, and above
    // the ledger and health, which say where a model may be loaded. Only observers are above it, since no request
    // waits for it.
    Layer.provideMerge(put.prewarmer ?? prewarmerOf(put)),
    // Runs the pipeline of a request: guards, coalescing, admission, attempts, and one event at the end. Above every
    // layer that a request passes; below the routes and servers, which send it the requests.
    Layer.provideMerge(
      put.router ?? PipelineRouter.layer({ guards: put.guards ?? [], retry: put.retry ?? FailoverRetry.make() }),
    ),
    // Joins requests: identical ones share one call to a backend, and queued embedding inputs are sent in one call.
    // Below the router, which calls it before admission, so that requests that share a call take one place in a queue.
    Layer.provideMerge(put.coalescer ?? MemoryCoalescer.layer()),
    // Estimates the tokens of a prompt: at first four characters a token, later from the numbers that backends counted.
    // Below the router: its guards use the estimates, and it reports the number that a backend counted in each prompt.
    Layer.provideMerge(put.tokens ?? CalibratedTokenEstimator.layer()),
    // Decides whether a request starts, waits in a bounded queue, or is shed. Above Leases, which tell it when a slot
    // is free; below the router, whose requests hold no slot while they wait.
    Layer.provideMerge(put.admission ?? BoundedAdmission.layer()),
    // Ranks the backends for a request with filters, scorers and a picker. Below the router, which gives it the live
    // view of Leases at each commit. It needs no layer below it, since a ranking is a pure function of that view.
    Layer.provideMerge(put.placement ?? placementOf(put)),
    // Sends a request to its backend, passes the bytes of the answer on, and checks the time limits. Above Transport,
    // which sends the bytes; below the router, which decides on a retry from the outcome that the relay reports.
    Layer.provideMerge(put.relay ?? WatchedRelay.layer()),
  )

/** The lower half: the layers that know the state of the fleet. They answer no requests. */
const knowledge = (put: Swaps) =>
  // Publishes the changes of health, breakers and residency as events. Above these three, since it listens to their
  // changes, and above `RouterEvents`, since it writes to it.
  EventSources.layer.pipe(
    // Counts streams and pins, and has the live view of all backends. Above health, breakers, the catalog and
    // residency, since the view shows their state; below Admission and the router, which take leases from it.
    Layer.provideMerge(put.leases ?? MemoryLeases.layer),
    // Knows which models are in memory, and loads and unloads them. Above the ledger, which must allow a load first,
    // and above the catalog, which knows the names of a model; below Leases, whose view shows it.
    Layer.provideMerge(
      put.residency ?? PollingResidency.layer({ victims: put.victims ?? CostAwareVictimPicker.make() }),
    ),
    // Says whether a model fits into GPU memory. The default does not know the memory: it allows one load at a time,
    // and Ollama decides what fits. Below Residency, which asks it before each load; above the catalog, because other
    // ledgers need the sizes of models.
    Layer.provideMerge(put.ledger ?? UnmanagedVramLedger.layer),
    // Knows which models exist, each under one name, and which backends have them on disk. Above health, so that it
    // reads a backend again when that becomes healthy; below Residency and the router, which look up models in it.
    Layer.provideMerge(put.catalog ?? OllamaModelCatalog.layer()),
    // Says whether a backend is alive, from probes and from the outcomes of attempts. Below the catalog, which reads
    // healthy backends only, and below Leases, which report the outcomes to it.
    Layer.provideMerge(put.health ?? PollingBackendHealth.layer()),
    // Stops requests to a backend that keeps failing, for a time. Its state is kept in this process only. Below Leases,
    // which take a permit for each attempt and report its outcome.
    Layer.provideMerge(put.breaker ?? LocalBreaker.layer().pipe(Layer.provide(CircuitBreaker.layerStoreMemory()))),
    // Keeps the last events, one for each decision, in a ring buffer. At the bottom, so that every other layer may
    // write to it.
    Layer.provideMerge(put.events ?? RingRouterEvents.layer()),
  )

/**
 * A whole router, except for the fleet and the transport: the list of backends and how to reach them.
 *
 * **Details**
 *
 * To swap a layer, give another one for its place: `Standard.layer({ admission: QueuelessAdmission.layer })`. To add
 * plugins, list them: `Standard.layer({ guards: [mine] })`. The type of the result says which services layers and
 * plugins still need. If you swap a layer, give its plugins to the new layer: giving them here throws a `RangeError`.
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
  // Each line of the two halves is type-checked. But the compiler cannot derive the errors and needs of `S`.
  return pipeline(put).pipe(Layer.provideMerge(knowledge(put))) as Layer.Layer<Provides, never, Needs>
}

/**
 * As `layer`, for hosts where no process runs between requests. It reads the view of the fleet when requests come, and
 * not in the background. It has no queue. Each instance counts only its own streams.
 *
 * **Details**
 *
 * The defaults are `QueuelessAdmission`, `IndependentCoalescer` and `RefreshOnRequest`. Layers that must keep state in
 * memory (`BoundedAdmission`, `MemoryVramLedger`, `PlannedPrewarmer`) fail to build with `NeedsResidentHost`. With a
 * Redis, the instances share breakers and rate limits.
 *
 * **Gotchas**
 *
 * `WebServer` calls `ViewRefresh` before each request. A server of your own must do the same. Timers of this process
 * check the time limits of requests and end the open time of breakers. Some hosts drop timers between requests instead
 * of freezing them. On such a host an open breaker stays open until the instance ends.
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
