/**
 * Loads models when the router starts.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import * as ModelName from "../../services/ModelName.ts"
import type { Plan } from "../../services/Plugin.ts"

/**
 * Loads each model once; the router is ready after that. A model that is unloaded later is not loaded again: to keep
 * models in memory, use `PinnedPlan`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (models: ReadonlyArray<string>, options?: {
  /** Whether idle models may be unloaded for them. Defaults to `true`. */
  readonly evicts?: boolean | undefined
}): Plan => {
  // Two spellings of a model's name are one target.
  const names = Array.from(new Set(models.map(ModelName.canonical)))
  const targets = names.map((model) => ({ model, once: true, gates: true, evicts: options?.evicts ?? true }))
  return { kind: "plan", name: "at-start", targets: () => Effect.succeed(targets) }
}
