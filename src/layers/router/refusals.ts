/**
 * Refusals that every router gives.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import type { ModelCatalogError } from "../../services/ModelCatalog.ts"
import * as ModelName from "../../services/ModelName.ts"
import { type Refusal, refuse } from "../../services/Refusal.ts"
import type { Endpoint } from "../../services/RoutedRequest.ts"
import { needsModel } from "../../wire/errorShapes.ts"

/**
 * The refusal of a text that no model can have as its name, in Ollama's words; `undefined` for every other one. No
 * backend need be asked. What Ollama answers without a name differs from path to path.
 *
 * @internal
 */
export const misnamed = (endpoint: Endpoint, name: string): Refusal | undefined => {
  const problem = ModelName.problem(name)
  if (problem === undefined) return undefined
  return name.trim() === "" && !needsModel(endpoint) ? missing(name) : refuse("BadRequest", problem, { model: name })
}

const missing = (name: string): Refusal => refuse("ModelNotFound", `model '${name}' not found`, { model: name })

/**
 * 404 when no backend has the model, and 403 when only ollama.com could have it; 503 when no backend could be asked.
 *
 * @internal
 */
export const notFound = (error: ModelCatalogError, name: string): Refusal => {
  if (error.reason._tag !== "ModelMissing") return refuse("NoBackend", "no backend can be reached", { retryAfter: 5 })
  return ModelName.parse(name).cloud
    ? refuse("Forbidden", "ollama cloud is disabled: remote model is unavailable")
    : missing(name)
}

/** The end of every request that comes after `drain`. @internal */
export const draining: Effect.Effect<never, Refusal> = Effect.fail(
  refuse("Draining", "this router is shutting down", { retryAfter: 5 }),
)
