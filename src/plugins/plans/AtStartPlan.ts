/**
 * Loads models when the router starts.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import * as ModelName from "../../services/ModelName.ts"
import type { Plan } from "../../services/Plugin.ts"

/**
 * Each model is loaded once, and readiness waits for it; what becomes of it later is for residency to say. For what has to stay, use `PinnedPlan`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (models: ReadonlyArray<string>, options?: {
  /** Defaults to `true`: nothing is more wanted than this when the router starts. */
  readonly evicts?: boolean | undefined
}): Plan => {
  // Two spellings of one model are one target.
  const names = Array.from(new Set(models.map(ModelName.canonical)))
  const targets = names.map((model) => ({ model, once: true, gates: true, evicts: options?.evicts ?? true }))
  return { kind: "plan", name: "at-start", targets: () => Effect.succeed(targets) }
}
