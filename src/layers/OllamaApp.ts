/**
 * All routes of the reference server besides inference and `AdminRoutes`, in one layer: the app that `NodeServer.layer`
 * and `WebServer` take.
 *
 * @since 0.1.0
 */
import { type ByteSize, type Duration, Layer } from "effect"
import type { HttpRouter } from "effect/http"
import type { Admission } from "../services/Admission.ts"
import type { BackendHealth } from "../services/BackendHealth.ts"
import type { Breaker } from "../services/Breaker.ts"
import type { Fleet } from "../services/Fleet.ts"
import type { Leases } from "../services/Leases.ts"
import type * as Live from "../services/Live.ts"
import type { ModelCatalog } from "../services/ModelCatalog.ts"
import type { OllamaApi } from "../services/OllamaApi.ts"
import type { Prewarmer } from "../services/Prewarmer.ts"
import type { Residency } from "../services/Residency.ts"
import type { Router } from "../services/Router.ts"
import type { RouterEvents } from "../services/RouterEvents.ts"
import type { Transport } from "../services/Transport.ts"
import type { VramLedger } from "../services/VramLedger.ts"
import * as RouterMetrics from "./events/RouterMetrics.ts"
import * as FallbackRoutes from "./routes/FallbackRoutes.ts"
import * as HealthRoutes from "./routes/HealthRoutes.ts"
import * as ManagementRoutes from "./routes/ManagementRoutes.ts"
import * as MetricsRoutes from "./routes/MetricsRoutes.ts"
import * as OllamaRoutes from "./routes/OllamaRoutes.ts"
import * as PullRoutes from "./routes/PullRoutes.ts"

/** The services that the routes use. @category models @since 0.1.0 */
export type Needs =
  | Admission
  | BackendHealth
  | Breaker
  | Fleet
  | Leases
  | ModelCatalog
  | OllamaApi
  | Prewarmer
  | Residency
  | Router
  | RouterEvents
  | Transport
  | VramLedger

/**
 * The routes of Ollama's API that are not inference, health and metrics. Merge `AdminRoutes` with them for operators.
 *
 * **Details**
 *
 * This is only a list of layers. To leave some of them out, or to replace them by routes of your own, merge the layers
 * that you want. The listener applies cross-origin rules, to these routes as to inference. Where another server serves
 * the app, `CorsRoutes` applies the same rules.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: {
  /** Longest wait for the part of a list that one backend has. Defaults to 5 seconds. */
  readonly answerMax?: Duration.Input | undefined
  /** Largest body of `/api/show`. Defaults to 64 MiB. */
  readonly bodyLimit?: ByteSize.ByteSize | undefined
  /** Models that must be on the disk of a healthy backend before the router is ready. Defaults to none. */
  readonly requiredModels?: ReadonlyArray<string> | undefined
  /** Whether requests are counted. Defaults to `true`; else `/metrics` has the gauges only. */
  readonly metrics?: boolean | undefined
  /** Tenants that metrics name, besides those of API keys. Defaults to none: a client could name any number of them. */
  readonly tenants?: Live.Input<ReadonlyArray<string>> | undefined
  /** The models that clients may pull. Defaults to none: `/api/pull` is refused. */
  readonly pulls?: PullRoutes.Options | undefined
}): Layer.Layer<never, never, HttpRouter.HttpRouter | Needs> =>
  Layer.mergeAll(
    OllamaRoutes.layer({ answerMax: options?.answerMax, bodyLimit: options?.bodyLimit }),
    options?.pulls === undefined
      ? ManagementRoutes.layer
      : Layer.merge(ManagementRoutes.layerWithoutPull, PullRoutes.layer(options.pulls)),
    HealthRoutes.layerRequiring(options?.requiredModels ?? []),
    options?.metrics === false ? Layer.empty : RouterMetrics.layerNaming(options?.tenants ?? []),
    MetricsRoutes.layer,
    FallbackRoutes.layer,
  )
