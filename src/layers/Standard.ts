/**
 * The default stack: one line for each layer. Start here.
 *
 * @since 0.1.0
 */
import { Layer } from "effect"
import { CircuitBreaker } from "effect/persistence"
import * as FailoverRetry from "../plugins/FailoverRetry.ts"
import * as StandardProfile from "../plugins/StandardProfile.ts"
import type { Fleet } from "../services/Fleet.ts"
import type { OllamaApi } from "../services/OllamaApi.ts"
import type { Guard, Observer, Profile, RetryPolicy } from "../services/Plugin.ts"
import type { Transport } from "../services/Transport.ts"
import * as BoundedAdmission from "./BoundedAdmission.ts"
import * as CharactersTokenEstimator from "./CharactersTokenEstimator.ts"
import * as EventSources from "./EventSources.ts"
import * as IndependentCoalescer from "./IndependentCoalescer.ts"
import * as LocalBreaker from "./LocalBreaker.ts"
import * as MemoryLeases from "./MemoryLeases.ts"
import * as Observers from "./Observers.ts"
import * as OllamaModelCatalog from "./OllamaModelCatalog.ts"
import * as PipelineRouter from "./PipelineRouter.ts"
import * as PollingBackendHealth from "./PollingBackendHealth.ts"
import * as PollingResidency from "./PollingResidency.ts"
import * as ProfilePlacement from "./ProfilePlacement.ts"
import * as RingRouterEvents from "./RingRouterEvents.ts"
import * as StartPrewarmer from "./StartPrewarmer.ts"
import * as UnmanagedVramLedger from "./UnmanagedVramLedger.ts"
import * as WatchedRelay from "./WatchedRelay.ts"

/** Everything has a default, stated where it is used. @category models @since 0.1.0 */
export interface Options<R = never> {
  /** In the order they run. Defaults to none. */
  readonly guards?: ReadonlyArray<Guard<R>> | undefined
  /** Defaults to `StandardProfile.make()`. */
  readonly profile?: Profile | undefined
  /** Defaults to `FailoverRetry.make()`. */
  readonly retry?: RetryPolicy | undefined
  /** Defaults to none. */
  readonly observers?: ReadonlyArray<Observer<R>> | undefined
  /** Models to have in memory before the router is ready. Defaults to none. */
  readonly prewarm?: ReadonlyArray<string> | undefined
  readonly admission?: BoundedAdmission.Options | undefined
  readonly relay?: WatchedRelay.Options | undefined
  readonly breaker?: LocalBreaker.Options | undefined
  readonly health?: PollingBackendHealth.Options | undefined
  readonly residency?: PollingResidency.Options | undefined
}

/**
 * A whole router, but for what differs from one place to another: which backends (`Fleet`), how to reach them (`Transport`, `OllamaApi`).
 *
 * **Details**
 *
 * `provideMerge` reads from the bottom up: a layer is given everything below it, and hands it on to what is above. To swap one, copy these lines and
 * change one of them; every layer's type says what it needs, so the compiler names what a new order leaves out.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <R = never>(options: Options<R> = {}) =>
  // Reads the ring; above the events it reads, and nothing depends on it.
  Observers.layer(options.observers ?? []).pipe(
    // Has models loaded; above Residency, which loads them.
    Layer.provideMerge(StartPrewarmer.layer({ models: options.prewarm ?? [] })),
    // The pipeline itself; above everything that a request passes.
    Layer.provideMerge(PipelineRouter.layer({ guards: options.guards, retry: options.retry ?? FailoverRetry.make() })),
    // Joins identical requests in flight; this one joins none.
    Layer.provideMerge(IndependentCoalescer.layer),
    // Estimates prompts at four characters a token.
    Layer.provideMerge(CharactersTokenEstimator.layer()),
    // Bounded queues; above Leases, which tell it when something is free.
    Layer.provideMerge(BoundedAdmission.layer(options.admission)),
    // Filters, scorers and a picker over the live view.
    Layer.provideMerge(ProfilePlacement.layer(options.profile ?? StandardProfile.make())),
    // Passes bytes and watches them; above Transport only.
    Layer.provideMerge(WatchedRelay.layer(options.relay)),
    // Puts what the three below say into the ring.
    Layer.provideMerge(EventSources.layer),
    // Slots and pins, and the live view; above all that the view shows.
    Layer.provideMerge(MemoryLeases.layer),
    // What is in memory, and loads; above the ledger, which must allow a load first.
    Layer.provideMerge(PollingResidency.layer(options.residency)),
    // Does not know the GPUs' memory: loads are serial and Ollama decides what fits.
    Layer.provideMerge(UnmanagedVramLedger.layer),
    // Which models there are, under one name each.
    Layer.provideMerge(OllamaModelCatalog.layer()),
    // Alive or not: probes, and what attempts say.
    Layer.provideMerge(PollingBackendHealth.layer(options.health)),
    // Holds back from what keeps failing; above the store that carries its transitions.
    Layer.provideMerge(LocalBreaker.layer(options.breaker)),
    Layer.provide(CircuitBreaker.layerStoreMemory()),
    // One record for each decision; at the bottom, since anyone may write one.
    Layer.provideMerge(RingRouterEvents.layer())
  )

/** What the stack still needs. @category models @since 0.1.0 */
export type Needs = Fleet | OllamaApi | Transport
