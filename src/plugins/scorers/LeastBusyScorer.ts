/**
 * Prefers backends with less load, in proportion to their weight.
 *
 * @since 0.1.0
 */
import { loadOf } from "../../services/Fleet.ts"
import type { Scorer } from "../../services/Plugin.ts"

/**
 * `1 / (1 + load)`, where the load is streams over weight (`Fleet.loadOf`): 1 for an idle backend, 1/2 for one with as
 * many streams as its weight.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): Scorer => ({
  kind: "scorer",
  name: "least-busy",
  score: (view) => 1 / (1 + loadOf(view.backend, view.streams)),
})
