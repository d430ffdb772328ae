/**
 * Everything the reference server answers besides inference, in one layer: the app that `NodeServer.layer` and `WebServer` take.
 *
 * @since 0.1.0
 */
import { type ByteSize, type Duration, Layer, type Redacted } from "effect"
import type { HttpRouter } from "effect/http"
import type { Admission } from "../services/Admission.ts"
import type { BackendHealth } from "../services/BackendHealth.ts"
import type { Breaker } from "../services/Breaker.ts"
import type { Fleet } from "../services/Fleet.ts"
import type { Leases } from "../services/Leases.ts"
import type { ModelCatalog } from "../services/ModelCatalog.ts"
import type { OllamaApi } from "../services/OllamaApi.ts"
import type { Prewarmer } from "../services/Prewarmer.ts"
import type { Residency } from "../services/Residency.ts"
import type { Router } from "../services/Router.ts"
import type { RouterEvents } from "../services/RouterEvents.ts"
import type { Transport } from "../services/Transport.ts"
import type { VramLedger } from "../services/VramLedger.ts"
import * as RouterMetrics from "./events/RouterMetrics.ts"
import * as AdminRoutes from "./routes/AdminRoutes.ts"
import * as FallbackRoutes from "./routes/FallbackRoutes.ts"
import * as HealthRoutes from "./routes/HealthRoutes.ts"
import * as ManagementRoutes from "./routes/ManagementRoutes.ts"
import * as MetricsRoutes from "./routes/MetricsRoutes.ts"
import * as OllamaRoutes from "./routes/OllamaRoutes.ts"
import * as PullRoutes from "./routes/PullRoutes.ts"

/** What the routes ask. @category models @since 0.1.0 */
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
 * **Details**
 *
 * To leave something out or to put routes of your own in its place, merge the layers you want yourself:
 * this is nothing but their list. Cross-origin rules are the listener's, for these routes as for inference; where the app is served by something else,
 * `CorsRoutes` has the same ones.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: {
  /** Longest wait for one backend's part of a list. Defaults to 5 seconds. */
  readonly answerMax?: Duration.Input | undefined
  /** Largest body of `/api/show`. Defaults to 64 MiB. */
  readonly bodyLimit?: ByteSize.ByteSize | undefined
  /** Of `/admin/*`. Without one there are no such routes. */
  readonly adminToken?: Redacted.Redacted<string> | undefined
  /** Models without which the router is not ready: each on some healthy backend's disk. Defaults to none. */
  readonly requiredModels?: ReadonlyArray<string> | undefined
  /** What clients may have pulled. Nothing by default: `/api/pull` is refused. */
  readonly pulls?: PullRoutes.Options | undefined
}): Layer.Layer<never, never, HttpRouter.HttpRouter | Needs> =>
  Layer.mergeAll(
    OllamaRoutes.layer({ answerMax: options?.answerMax, bodyLimit: options?.bodyLimit }),
    options?.pulls === undefined
      ? ManagementRoutes.layer
      : Layer.merge(ManagementRoutes.layerWithoutPull, PullRoutes.layer(options.pulls)),
    HealthRoutes.layerRequiring(options?.requiredModels ?? []),
    RouterMetrics.layer,
    MetricsRoutes.layer,
    options?.adminToken === undefined ? Layer.empty : AdminRoutes.layer({ token: options.adminToken }),
    FallbackRoutes.layer,
  )
