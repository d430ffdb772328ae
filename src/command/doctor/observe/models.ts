/**
 * The models that the fleet must have.
 *
 * @since 0.1.0
 */
import type { Settings } from "../../../layers/Settings.ts"
import * as ModelName from "../../../services/ModelName.ts"
import type { WantedModel } from "../observations.ts"

/** Those named to this command, and those of the settings, each once. */
export const wantedModels = (named: ReadonlyArray<string>, settings: Settings): ReadonlyArray<WantedModel> => {
  const planned = [...settings.prewarm, ...settings.pinned]
  const required = settings.requiredModels
  const found = new Map<string, WantedModel>()
  for (const name of [...planned, ...required, ...named]) {
    const key = ModelName.canonical(name)
    if (found.has(key)) continue
    const isAmong = (all: ReadonlyArray<string>) => all.some((one) => ModelName.canonical(one) === key)
    found.set(key, { name, key, required: isAmong(required), planned: isAmong(planned) })
  }
  return Array.from(found.values())
}
