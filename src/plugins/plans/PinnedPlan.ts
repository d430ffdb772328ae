/**
 * Keeps models in memory.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import * as ModelName from "../../services/ModelName.ts"
import type { Plan } from "../../services/Plugin.ts"

/**
 * Loaded whenever they are not there, never unloaded to make room for others; readiness waits for them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (models: ReadonlyArray<string>, options?: {
  /** On which backends; on the best one when absent. */
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
