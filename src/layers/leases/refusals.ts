/**
 * Why no backend can serve a request, in words for the client.
 *
 * @since 0.1.0
 */
import { type Refusal, refuse } from "../../services/Refusal.ts"
import type { LoadError } from "../../services/Residency.ts"
import type { Demand } from "../../services/RoutedRequest.ts"

/** `retryMillis` becomes `Retry-After`; 5 seconds where no time is known. @category refusals @since 0.1.0 */
export const unavailable = (message: string, retryMillis: number | undefined): Refusal =>
  refuse("NoBackend", message, {
    retryAfter: retryMillis === undefined ? 5 : Math.max(1, Math.ceil(retryMillis / 1000)),
  })

/** Every backend has the model in memory with another context length. @category refusals @since 0.1.0 */
export const noContext = ({ model, numCtx }: Demand): Refusal =>
  refuse(
    "BadRequest",
    `num_ctx ${numCtx ?? "automatic"} is not available for ${model.key} now: ` +
      "every backend has it in memory with another context length; leave num_ctx out, or ask for a smaller one",
  )

/**
 * A load failed. Ollama's own message goes to the client, who can act on it. Why a backend could not be reached does
 * not: that is the operator's concern.
 *
 * @category refusals
 * @since 0.1.0
 */
export const loadFailed = (error: LoadError): Refusal =>
  error.status === undefined
    ? refuse("BackendFailed", `${error.model} could not be loaded: no backend answered`, { retryAfter: 1 })
    : refuse("LoadFailed", error.description, { status: error.status })
