/**
 * Prefers backends in the router's own zone.
 *
 * @since 0.1.0
 */
import type { Scorer } from "../../services/Plugin.ts"

/**
 * 1 for a backend whose label has the value `zone`, else 0. The name of the label defaults to `zone`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (zone: string, label = "zone"): Scorer => ({
  kind: "scorer",
  name: label,
  score: ({ backend }) => backend.labels[label] === zone ? 1 : 0,
})
