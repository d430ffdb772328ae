/**
 * The profile a router has when its deployer names none.
 *
 * @since 0.1.0
 */
import type { Profile } from "../services/Plugin.ts"
import * as HealthyFilter from "./HealthyFilter.ts"
import * as LeastBusyScorer from "./LeastBusyScorer.ts"
import * as MaxScorePicker from "./MaxScorePicker.ts"
import * as ResidentScorer from "./ResidentScorer.ts"

/**
 * Healthy backends; a warm model outweighs any difference in load (3 to 1); then the least busy; ties in turn.
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
  filters: [HealthyFilter.make()],
  scorers: [
    { scorer: ResidentScorer.make(), weight: 3 },
    { scorer: LeastBusyScorer.make(), weight: 1 },
  ],
  picker: MaxScorePicker.make(),
})
