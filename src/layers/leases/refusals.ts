/**
 * Why no backend can be had, in words for the client.
 *
 * @since 0.1.0
 */
import { type Refusal, refuse } from "../../services/Refusal.ts"
import type { LoadError } from "../../services/Residency.ts"
import type { Demand } from "../../services/RoutedRequest.ts"

/** @category refusals @since 0.1.0 */
export const unavailable = (message: string, retryMillis: number | undefined): Refusal =>
  refuse("NoBackend", message, {
    retryAfter: retryMillis === undefined ? 5 : Math.max(1, Math.ceil(retryMillis / 1000)),
  })

/** @category refusals @since 0.1.0 */
export const noContext = ({ model, numCtx }: Demand): Refusal =>
  refuse(
    "BadRequest",
    `num_ctx ${
      numCtx ?? "automatic"
    } is not available for ${model.key} now: every backend holds it with another context; leave num_ctx out or ask for less`,
  )

/** Ollama's own words about a load that failed are what its user needs; why a backend could not be reached is not the client's business. @category refusals @since 0.1.0 */
export const loadFailed = (error: LoadError): Refusal =>
  error.status === undefined
    ? refuse("BackendFailed", `${error.model} could not be loaded: no backend answered`, { retryAfter: 1 })
    : refuse("LoadFailed", error.description, { status: error.status })
