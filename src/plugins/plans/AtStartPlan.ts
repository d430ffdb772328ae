/**
 * Loads models when the router starts.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import * as Live from "../../services/Live.ts"
import type { Plan } from "../../services/Plugin.ts"
import * as Listed from "./listed.ts"

/**
 * Loads each model once; the router is ready after that. A model that is unloaded later is not loaded again: to keep
 * models in memory, use `PinnedPlan`.
 *
 * **Details**
 *
 * A list that changes while the router runs (`Live`) loads the models that were added. Readiness does not wait for
 * them: a router that answers must not lose its traffic to a change.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (models: Live.Input<ReadonlyArray<string>>, options?: {
  /** Whether idle models may be unloaded for them. Defaults to `true`. */
  readonly evicts?: boolean | undefined
}): Plan => {
  const evicts = options?.evicts ?? true
  const targets = Listed.targets(Live.of(models), (model, gates) => ({ model, once: true, gates, evicts }))
  return { kind: "plan", name: "at-start", targets: () => Effect.sync(() => targets.now) }
}
