/**
 * Keeps models in memory.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import * as Live from "../../services/Live.ts"
import type { Plan } from "../../services/Plugin.ts"
import * as Listed from "./listed.ts"

/**
 * Loads the models whenever they are not in memory, and never unloads them to make room for others. The router is ready
 * when they are loaded.
 *
 * **Details**
 *
 * A list that changes while the router runs (`Live`) loads the models that were added, and readiness does not wait for
 * them. A model that was removed stays in memory, and can be unloaded from then on.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (models: Live.Input<ReadonlyArray<string>>, options?: {
  /** The backends that keep the models. Defaults to the best one for each model. */
  readonly backends?: ReadonlyArray<string> | undefined
}): Plan => {
  const backends = options?.backends
  const targets = Listed.targets(
    Live.of(models),
    (model, gates) => ({ model, backends, pinned: true, gates, evicts: true }),
  )
  return { kind: "plan", name: "pinned", targets: () => Effect.sync(() => targets.now) }
}
