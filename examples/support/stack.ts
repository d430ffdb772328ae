/** The standard stack with the settings put in. */
import { Layer } from "effect"
import { CircuitBreaker, RateLimiter } from "effect/persistence"
import * as BoundedAdmission from "../../src/layers/BoundedAdmission.ts"
import * as IndependentCoalescer from "../../src/layers/IndependentCoalescer.ts"
import * as LocalBreaker from "../../src/layers/LocalBreaker.ts"
import * as MemoryLeases from "../../src/layers/MemoryLeases.ts"
import * as MemoryCoalescer from "../../src/layers/MemoryCoalescer.ts"
import * as PipelineRouter from "../../src/layers/PipelineRouter.ts"
import * as PollingBackendHealth from "../../src/layers/PollingBackendHealth.ts"
import * as PollingResidency from "../../src/layers/PollingResidency.ts"
import type { Level, Settings } from "../../src/layers/Settings.ts"
import * as Standard from "../../src/layers/Standard.ts"
import * as StartPrewarmer from "../../src/layers/StartPrewarmer.ts"
import * as WatchedRelay from "../../src/layers/WatchedRelay.ts"
import * as AccessLogObserver from "../../src/plugins/AccessLogObserver.ts"
import * as CostAwareVictimPicker from "../../src/plugins/CostAwareVictimPicker.ts"
import * as FailoverRetry from "../../src/plugins/FailoverRetry.ts"
import * as Guards from "./guards.ts"

const quiet: ReadonlyArray<Level> = ["Warn", "Error", "Fatal", "None"]

/** Where breakers and rate limits keep what replicas share. */
export interface Stores {
  readonly circuits: Layer.Layer<CircuitBreaker.CircuitBreakerStore>
  readonly limits: Layer.Layer<RateLimiter.RateLimiterStore>
}
const memory: Stores = { circuits: CircuitBreaker.layerStoreMemory(), limits: RateLimiter.layerStoreMemory }

export const stack = (settings: Settings, { circuits, limits } = memory) =>
  Standard.layer({
    admission: BoundedAdmission.layer(settings),
    leases: settings.adaptive ? MemoryLeases.layer : MemoryLeases.layerFixed,
    coalescer: settings.coalesce ? MemoryCoalescer.layer(settings) : IndependentCoalescer.layer,
    relay: WatchedRelay.layer(settings),
    router: PipelineRouter.layer({
      guards: Guards.guards(settings),
      heartbeatMillis: settings.heartbeatMillis,
      retry: FailoverRetry.make({
        ratio: settings.retryRatio,
        perSecond: settings.retryPerSecond,
        attemptsMax: settings.attemptsMax,
      }),
    }),
    breaker: LocalBreaker.layer({
      trip: CircuitBreaker.consecutive(settings.breakerFailures),
      openDuration: settings.breakerOpenMillis,
      openDurationMax: settings.breakerOpenMaxMillis,
    }).pipe(Layer.provide(circuits)),
    health: PollingBackendHealth.layer({ interval: settings.healthMillis, timeout: settings.healthTimeoutMillis }),
    residency: PollingResidency.layer({ loadTimeout: settings.loadMillis, victims: CostAwareVictimPicker.make() }),
    prewarmer: StartPrewarmer.layer({ models: settings.prewarm }),
    // Where single requests are not wanted in the log, the ones that failed still are.
    observers: [AccessLogObserver.make({ statusMin: quiet.includes(settings.logLevel) ? 500 : 0 })],
  }).pipe(Layer.provideMerge(Guards.services(settings, limits)))
