/** The standard stack, with the settings as options of its layers. */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Layer } from "effect"
import type { HttpClient } from "effect/http"
import { CircuitBreaker, RateLimiter } from "effect/persistence"
import process from "node:process"
import * as BoundedAdmission from "../../layers/admission/BoundedAdmission.ts"
import * as LocalBreaker from "../../layers/breaker/LocalBreaker.ts"
import * as IndependentCoalescer from "../../layers/coalescing/IndependentCoalescer.ts"
import * as MemoryCoalescer from "../../layers/coalescing/MemoryCoalescer.ts"
import * as PollingBackendHealth from "../../layers/health/PollingBackendHealth.ts"
import * as MemoryLeases from "../../layers/leases/MemoryLeases.ts"
import * as LearnedModelFootprints from "../../layers/memory/footprint/LearnedModelFootprints.ts"
import * as MemoryVramLedger from "../../layers/memory/ledger/MemoryVramLedger.ts"
import * as UnmanagedVramLedger from "../../layers/memory/ledger/UnmanagedVramLedger.ts"
import * as PollingResidency from "../../layers/memory/residency/PollingResidency.ts"
import * as PluginFiles from "../../layers/PluginFiles.ts"
import * as OtlpMetrics from "../../layers/routes/OtlpMetrics.ts"
import * as LogLines from "../../layers/server/LogLines.ts"
import * as MemoryRateLimiterStore from "../../layers/sharing/MemoryRateLimiterStore.ts"
import * as WatchedRelay from "../../layers/relay/WatchedRelay.ts"
import * as PipelineRouter from "../../layers/router/PipelineRouter.ts"
import type { Fixed, Settings } from "../../layers/Settings.ts"
import { metrics, tracing } from "../../layers/Settings.ts"
import * as Standard from "../../layers/Standard.ts"
import * as OtlpTracing from "../../layers/tracing/OtlpTracing.ts"
import * as AccessLogObserver from "../../plugins/observers/AccessLogObserver.ts"
import * as AtStartPlan from "../../plugins/plans/AtStartPlan.ts"
import * as PinnedPlan from "../../plugins/plans/PinnedPlan.ts"
import * as FailoverRetry from "../../plugins/retry/FailoverRetry.ts"
import * as HedgeRetry from "../../plugins/retry/HedgeRetry.ts"
import * as CostAwareVictimPicker from "../../plugins/victims/CostAwareVictimPicker.ts"
import * as Live from "../../services/Live.ts"
import * as Guards from "./guards.ts"
import { retryOf } from "./live.ts"
import type { Placing } from "./placing.ts"

/** The memory that models take: learned, except for models in the deployer's file. */
const footprints = ({ footprintsFile }: Fixed) =>
  footprintsFile === ""
    ? LearnedModelFootprints.layer()
    : LearnedModelFootprints.fromFile(footprintsFile).pipe(Layer.provide(NodeFileSystem.layer))

/** The policy for attempts that failed, and for slow ones. */
const retries = ({ hedge }: Fixed, live: Live.Live<Settings>) => {
  const failover = FailoverRetry.make(Live.map(live, retryOf))
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
const lines = ({ logFormat }: Fixed) =>
  LogLines.formatOf(logFormat, process.stdout.isTTY === true) === "json" ? LogLines.console.write : undefined

/**
 * `placing` comes from settings, `plugins` from files. `simulated`: whether the answers are to be marked. Settings that
 * a reload changes are read from `placing.running`.
 */
export const stack = (
  settings: Fixed,
  placing: Placing,
  plugins: PluginFiles.Plugins,
  simulated: boolean,
  { circuits, limits } = memory,
) => {
  const { running } = placing
  const live = running.settings
  const profile = Live.map(placing.profile, (chosen) => PluginFiles.extend(chosen, plugins))
  return Standard.layer({
    profile: () => profile.now,
    admission: BoundedAdmission.layer(live),
    leases: settings.adaptive ? MemoryLeases.layer : MemoryLeases.layerFixed,
    coalescer: settings.coalesce ? MemoryCoalescer.layer(settings) : IndependentCoalescer.layer,
    relay: WatchedRelay.layer(live),
    router: PipelineRouter.layer({
      guards: [...Guards.guards(settings, running, simulated), ...placing.guards, ...plugins.guards],
      heartbeatMillis: settings.heartbeatMillis,
      placementsPerSecond: Live.map(placing.decisions, (decisions) => decisions === undefined ? 0 : 20),
      retry: plugins.retry ?? retries(settings, live),
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
    plans: [
      AtStartPlan.make(Live.map(live, ({ prewarm }) => prewarm)),
      PinnedPlan.make(Live.map(live, ({ pinned }) => pinned)),
      ...plugins.plans,
    ],
    // At a log level without single requests, the requests that failed are still logged.
    observers: [
      AccessLogObserver.make({ control: placing.log, lines: lines(settings) }),
      ...placing.observers,
      ...plugins.observers,
    ],
  }).pipe(Layer.provideMerge(Guards.services(settings, running, limits)))
}
