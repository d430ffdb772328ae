/**
 * Refusals that every router gives.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import type { ModelCatalogError } from "../../services/ModelCatalog.ts"
import { type Refusal, refuse } from "../../services/Refusal.ts"

/** 404 when no backend has the model; 503 when no backend could be asked. @internal */
export const notFound = (error: ModelCatalogError, name: string): Refusal =>
  error.reason._tag === "ModelMissing"
    ? refuse("ModelNotFound", `model '${name}' not found`, { model: name })
    : refuse("NoBackend", "no backend can be reached", { retryAfter: 5 })

/** The end of every request that comes after `drain`. @internal */
export const draining: Effect.Effect<never, Refusal> = Effect.fail(
  refuse("Draining", "this router is shutting down", { retryAfter: 5 }),
)
