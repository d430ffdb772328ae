/**
 * The default profile, with its filters, scorers and picker.
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
 * Prefers a healthy backend that has the model in memory, then one with little load.
 *
 * **Details**
 *
 * The filters drop backends that are not healthy and backends that the model can never fit into. Of the scorers,
 * `ResidentScorer` has weight 3: a model in memory outweighs any difference in load. `LeastBusyScorer` has weight 1.
 * `FreeMemoryScorer` and `LoadTimeScorer` have weight 0.5 each, and count only where memory and load times are known.
 * Backends with equal scores are used in turn.
 *
 * To add a scorer, write a new profile with this one's parts:
 *
 * ```ts
 * import { type Plugin, StandardProfile } from "llamero"
 *
 * declare const mine: Plugin.Scorer
 * const standard = StandardProfile.make()
 * export const profile = { ...standard, scorers: [...standard.scorers, { scorer: mine, weight: 2 }] }
 * ```
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
