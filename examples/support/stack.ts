/** The standard stack, with the settings as options of its layers. */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Layer } from "effect"
import type { HttpClient } from "effect/http"
import { CircuitBreaker, RateLimiter } from "effect/persistence"
import process from "node:process"
import * as BoundedAdmission from "../../src/layers/admission/BoundedAdmission.ts"
import * as LocalBreaker from "../../src/layers/breaker/LocalBreaker.ts"
import * as IndependentCoalescer from "../../src/layers/coalescing/IndependentCoalescer.ts"
import * as MemoryCoalescer from "../../src/layers/coalescing/MemoryCoalescer.ts"
import * as PollingBackendHealth from "../../src/layers/health/PollingBackendHealth.ts"
import * as MemoryLeases from "../../src/layers/leases/MemoryLeases.ts"
import * as LearnedModelFootprints from "../../src/layers/memory/footprint/LearnedModelFootprints.ts"
import * as MemoryVramLedger from "../../src/layers/memory/ledger/MemoryVramLedger.ts"
import * as UnmanagedVramLedger from "../../src/layers/memory/ledger/UnmanagedVramLedger.ts"
import * as PollingResidency from "../../src/layers/memory/residency/PollingResidency.ts"
import * as PluginFiles from "../../src/layers/PluginFiles.ts"
import * as LogLines from "../../src/layers/server/LogLines.ts"
import * as MemoryRateLimiterStore from "../../src/layers/sharing/MemoryRateLimiterStore.ts"
import * as WatchedRelay from "../../src/layers/relay/WatchedRelay.ts"
import * as PipelineRouter from "../../src/layers/router/PipelineRouter.ts"
import type { Settings } from "../../src/layers/Settings.ts"
import * as OtlpMetrics from "../../src/layers/routes/OtlpMetrics.ts"
import { metrics, tracing } from "../../src/layers/Settings.ts"
import * as Standard from "../../src/layers/Standard.ts"
import * as OtlpTracing from "../../src/layers/tracing/OtlpTracing.ts"
import * as AccessLogObserver from "../../src/plugins/observers/AccessLogObserver.ts"
import * as AtStartPlan from "../../src/plugins/plans/AtStartPlan.ts"
import * as PinnedPlan from "../../src/plugins/plans/PinnedPlan.ts"
import * as FailoverRetry from "../../src/plugins/retry/FailoverRetry.ts"
import * as HedgeRetry from "../../src/plugins/retry/HedgeRetry.ts"
import * as CostAwareVictimPicker from "../../src/plugins/victims/CostAwareVictimPicker.ts"
import * as Guards from "./guards.ts"
import type { Placing } from "./placing.ts"

/** The memory that models take: learned, except for models in the deployer's file. */
const footprints = ({ footprintsFile }: Settings) =>
  footprintsFile === ""
    ? LearnedModelFootprints.layer()
    : LearnedModelFootprints.fromFile(footprintsFile).pipe(Layer.provide(NodeFileSystem.layer))

/** The policy for attempts that failed, and for slow ones. */
const retries = ({ attemptsMax, hedge, retryPerSecond, retryRatio }: Settings) => {
  const failover = FailoverRetry.make({ ratio: retryRatio, perSecond: retryPerSecond, attemptsMax })
  return hedge ? HedgeRetry.make(failover) : failover
}

/** The stores of breakers and rate limits; in a Redis when replicas share them. */
export interface Stores {
  readonly circuits: Layer.Layer<CircuitBreaker.CircuitBreakerStore>
  readonly limits: Layer.Layer<RateLimiter.RateLimiterStore>
}
const memory: Stores = { circuits: CircuitBreaker.layerStoreMemory(), limits: MemoryRateLimiterStore.layer }

/** Traces, where a collector is set. */
export const traces = (settings: Settings, client: Layer.Layer<HttpClient.HttpClient>): Layer.Layer<never> => {
  const options = tracing(settings)
  return options === undefined ? Layer.empty : OtlpTracing.layer(options).pipe(Layer.provide(client))
}

/** Metrics for a collector, where they are asked for. It reads the services of the router. */
export const exported = (settings: Settings, client: Layer.Layer<HttpClient.HttpClient>) => {
  const options = metrics(settings)
  return options === undefined ? Layer.empty : OtlpMetrics.layer(options).pipe(Layer.provide(client))
}

/** Where the lines of requests go: past the loggers, where these would write the same. */
const lines = ({ logFormat }: Settings) =>
  LogLines.formatOf(logFormat, process.stdout.isTTY === true) === "json" ? LogLines.console.write : undefined

/** `placing` comes from settings, `plugins` from files. `simulated`: whether the answers are to be marked. */
export const stack = (
  settings: Settings,
  placing: Placing,
  plugins: PluginFiles.Plugins,
  simulated: boolean,
  { circuits, limits } = memory,
) =>
  Standard.layer({
    profile: PluginFiles.extend(placing.profile, plugins),
    admission: BoundedAdmission.layer(settings),
    leases: settings.adaptive ? MemoryLeases.layer : MemoryLeases.layerFixed,
    coalescer: settings.coalesce ? MemoryCoalescer.layer(settings) : IndependentCoalescer.layer,
    relay: WatchedRelay.layer(settings),
    router: PipelineRouter.layer({
      guards: [...Guards.guards(settings, simulated), ...placing.guards, ...plugins.guards],
      heartbeatMillis: settings.heartbeatMillis,
      placementsPerSecond: placing.decisions === undefined ? 0 : 20,
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
    // At a log level without single requests, the requests that failed are still logged.
    observers: [
      AccessLogObserver.make({ control: placing.log, lines: lines(settings) }),
      ...placing.observers,
      ...plugins.observers,
    ],
  }).pipe(Layer.provideMerge(Guards.services(settings, limits)))
