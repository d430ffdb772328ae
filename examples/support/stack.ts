/** The standard stack with the settings put in. */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Layer } from "effect"
import { CircuitBreaker, RateLimiter } from "effect/persistence"
import * as BoundedAdmission from "../../src/layers/BoundedAdmission.ts"
import * as IndependentCoalescer from "../../src/layers/IndependentCoalescer.ts"
import * as LearnedModelFootprints from "../../src/layers/LearnedModelFootprints.ts"
import * as LocalBreaker from "../../src/layers/LocalBreaker.ts"
import * as MemoryLeases from "../../src/layers/MemoryLeases.ts"
import * as MemoryCoalescer from "../../src/layers/MemoryCoalescer.ts"
import * as MemoryVramLedger from "../../src/layers/MemoryVramLedger.ts"
import * as PipelineRouter from "../../src/layers/PipelineRouter.ts"
import * as PluginFiles from "../../src/layers/PluginFiles.ts"
import * as PollingBackendHealth from "../../src/layers/PollingBackendHealth.ts"
import * as PollingResidency from "../../src/layers/PollingResidency.ts"
import type { Level, Settings } from "../../src/layers/Settings.ts"
import * as Standard from "../../src/layers/Standard.ts"
import * as UnmanagedVramLedger from "../../src/layers/UnmanagedVramLedger.ts"
import * as WatchedRelay from "../../src/layers/WatchedRelay.ts"
import * as AccessLogObserver from "../../src/plugins/AccessLogObserver.ts"
import * as AtStartPlan from "../../src/plugins/AtStartPlan.ts"
import * as CostAwareVictimPicker from "../../src/plugins/CostAwareVictimPicker.ts"
import * as FailoverRetry from "../../src/plugins/FailoverRetry.ts"
import * as HedgeRetry from "../../src/plugins/HedgeRetry.ts"
import * as PinnedPlan from "../../src/plugins/PinnedPlan.ts"
import * as StandardProfile from "../../src/plugins/StandardProfile.ts"
import * as Guards from "./guards.ts"

/** What models take: learned, but for what the deployer pins. */
const footprints = ({ footprintsFile }: Settings) =>
  footprintsFile === ""
    ? LearnedModelFootprints.layer()
    : LearnedModelFootprints.fromFile(footprintsFile).pipe(Layer.provide(NodeFileSystem.layer))

const quiet: ReadonlyArray<Level> = ["Warn", "Error", "Fatal", "None"]

/** What becomes of a failed attempt, and of a slow one. */
const retries = ({ attemptsMax, hedge, retryPerSecond, retryRatio }: Settings) => {
  const failover = FailoverRetry.make({ ratio: retryRatio, perSecond: retryPerSecond, attemptsMax })
  return hedge ? HedgeRetry.make(failover) : failover
}

/** Where breakers and rate limits keep what replicas share. */
export interface Stores {
  readonly circuits: Layer.Layer<CircuitBreaker.CircuitBreakerStore>
  readonly limits: Layer.Layer<RateLimiter.RateLimiterStore>
}
const memory: Stores = { circuits: CircuitBreaker.layerStoreMemory(), limits: RateLimiter.layerStoreMemory }

/** `plugins` come from files. */
export const stack = (settings: Settings, plugins: PluginFiles.Plugins, { circuits, limits } = memory) =>
  Standard.layer({
    profile: PluginFiles.extend(StandardProfile.make(), plugins),
    admission: BoundedAdmission.layer(settings),
    leases: settings.adaptive ? MemoryLeases.layer : MemoryLeases.layerFixed,
    coalescer: settings.coalesce ? MemoryCoalescer.layer(settings) : IndependentCoalescer.layer,
    relay: WatchedRelay.layer(settings),
    router: PipelineRouter.layer({
      guards: [...Guards.guards(settings), ...plugins.guards],
      heartbeatMillis: settings.heartbeatMillis,
      retry: plugins.retry ?? retries(settings),
    }),
    breaker: LocalBreaker.layer({
      trip: CircuitBreaker.consecutive(settings.breakerFailures),
      openDuration: settings.breakerOpenMillis,
      openDurationMax: settings.breakerOpenMaxMillis,
    }).pipe(Layer.provide(circuits)),
    health: PollingBackendHealth.layer({ interval: settings.healthMillis, timeout: settings.healthTimeoutMillis }),
    residency: PollingResidency.layer({
      loadTimeout: settings.loadMillis,
      victims: plugins.victims ?? CostAwareVictimPicker.make(),
    }),
    ledger: settings.vram
      ? MemoryVramLedger.layer({ reserve: settings.vramReserve }).pipe(Layer.provide(footprints(settings)))
      : UnmanagedVramLedger.layer,
    plans: [AtStartPlan.make(settings.prewarm), PinnedPlan.make(settings.pinned), ...plugins.plans],
    // Where single requests are not wanted in the log, the ones that failed still are.
    observers: [
      AccessLogObserver.make({ statusMin: quiet.includes(settings.logLevel) ? 500 : 0 }),
      ...plugins.observers,
    ],
  }).pipe(Layer.provideMerge(Guards.services(settings, limits)))
