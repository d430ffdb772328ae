/**
 * The targets of a plan that is a list of models.
 *
 * @since 0.1.0
 */
import * as Live from "../../services/Live.ts"
import * as ModelName from "../../services/ModelName.ts"
import type { PrewarmTarget } from "../../services/Plugin.ts"

/**
 * A target for each model. `gates`: readiness waits for it, which is so for the models that the first list has, for as
 * long as they stay in it.
 *
 * @internal
 */
export const targets = (
  models: Live.Live<ReadonlyArray<string>>,
  target: (model: string, gates: boolean) => PrewarmTarget,
): Live.Live<ReadonlyArray<PrewarmTarget>> => {
  let gating = new Set(models.now.map(ModelName.canonical))
  return Live.map(models, (listed) => {
    // Two spellings of a model's name are one target.
    const names = Array.from(new Set(listed.map(ModelName.canonical)))
    gating = new Set(names.filter((model) => gating.has(model)))
    return names.map((model) => target(model, gating.has(model)))
  })
}
