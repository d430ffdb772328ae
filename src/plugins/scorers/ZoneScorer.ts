/**
 * Prefers backends near the router.
 *
 * @since 0.1.0
 */
import type { Scorer } from "../../services/Plugin.ts"

/**
 * 1 for a backend whose label says the router's own zone, else 0. The label defaults to `zone`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (zone: string, label = "zone"): Scorer => ({
  kind: "scorer",
  name: label,
  score: ({ backend }) => backend.labels[label] === zone ? 1 : 0,
})
