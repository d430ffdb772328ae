/**
 * The profile a router has when its deployer names none.
 *
 * @since 0.1.0
 */
import type { Profile } from "../services/Plugin.ts"
import * as FitsFilter from "./filters/FitsFilter.ts"
import * as HealthyFilter from "./filters/HealthyFilter.ts"
import * as MaxScorePicker from "./pickers/MaxScorePicker.ts"
import * as FreeMemoryScorer from "./scorers/FreeMemoryScorer.ts"
import * as LeastBusyScorer from "./scorers/LeastBusyScorer.ts"
import * as LoadTimeScorer from "./scorers/LoadTimeScorer.ts"
import * as ResidentScorer from "./scorers/ResidentScorer.ts"

/**
 * Healthy backends that the model can ever fit into; a warm model outweighs any difference in load (3 to 1); then the least busy, with room for the model and
 * quick to load it, as far as that is known; ties in turn.
 *
 * **Details**
 *
 * Add to it by spreading: `{ ...StandardProfile.make(), scorers: [...StandardProfile.make().scorers, { scorer: mine, weight: 2 }] }`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): Profile => ({
  name: "standard",
  filters: [HealthyFilter.make(), FitsFilter.make()],
  scorers: [
    { scorer: ResidentScorer.make(), weight: 3 },
    { scorer: LeastBusyScorer.make(), weight: 1 },
    { scorer: FreeMemoryScorer.make(), weight: 0.5 },
    { scorer: LoadTimeScorer.make(), weight: 0.5 },
  ],
  picker: MaxScorePicker.make(),
})
