/**
 * Keeps models in memory.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import * as ModelName from "../../services/ModelName.ts"
import type { Plan } from "../../services/Plugin.ts"

/**
 * Loads the models whenever they are not in memory, and never unloads them to make room for others. The router is ready
 * when they are loaded.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (models: ReadonlyArray<string>, options?: {
  /** The backends that keep the models. Defaults to the best one for each model. */
  readonly backends?: ReadonlyArray<string> | undefined
}): Plan => {
  const targets = Array.from(new Set(models.map(ModelName.canonical)), (model) => ({
    model,
    backends: options?.backends,
    pinned: true,
    gates: true,
    evicts: true,
  }))
  return { kind: "plan", name: "pinned", targets: () => Effect.succeed(targets) }
}
