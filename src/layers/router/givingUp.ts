/**
 * When a failed attempt is the last one, and what is said then.
 *
 * @since 0.1.0
 */
import type { BackendView } from "../../services/FleetView.ts"
import type { ModelCatalogError } from "../../services/ModelCatalog.ts"
import type { Outcome } from "../../services/Outcome.ts"
import { type Refusal, refuse } from "../../services/Refusal.ts"
import type { BackendAnswer } from "../../services/Relay.ts"
import type { Demand } from "../../services/RoutedRequest.ts"

/** Ollama's own "busy" says nothing of when to come back. @internal */
export const saysNotWhen = ({ rawHeaders, status }: BackendAnswer): boolean =>
  status === 503 && !rawHeaders.some((name, i) => i % 2 === 0 && name.toLowerCase() === "retry-after")

/** Why there is nobody to ask. @internal */
export const notFound = (error: ModelCatalogError, name: string): Refusal =>
  error.reason._tag === "ModelMissing"
    ? refuse("ModelNotFound", `model '${name}' not found`, { model: name })
    : refuse("NoBackend", "no backend can be reached", { retryAfter: 5 })

/**
 * Whether another backend may do better. One that says nothing while it is busy, or has yet to load, may only be slow: to ask another as well would do the work
 * twice. What cannot be sent to one cannot be sent to any.
 *
 * @internal
 */
export const mayFareBetter = (cause: string, { model }: Demand, view: BackendView | undefined): boolean =>
  cause === "first-byte-timeout"
    ? view !== undefined && view.streams === 0 && (model.remote || view.residency(model) === "resident")
    : cause !== "invalid-call"

/** What the client hears when no attempt is left and no backend gave an answer. @internal */
export const giveUp = ({ model }: Demand, { cause }: Outcome): Refusal => {
  switch (cause) {
    case "first-byte-timeout":
      return refuse("BackendFailed", `the backend of ${model.key} did not answer in time`, { status: 504 })
    case "exhausted":
      return refuse("NoBackend", "the router cannot open more connections", { retryAfter: 1 })
    case "invalid-call":
      return refuse("Internal", "the request cannot be passed on")
    default:
      return refuse("BackendFailed", `the backend of ${model.key} failed before it answered`, { retryAfter: 1 })
  }
}
