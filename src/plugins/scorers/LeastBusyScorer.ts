/**
 * Prefers backends with more free stream slots, weighted by their capacity.
 *
 * @since 0.1.0
 */
import type { Scorer } from "../../services/Plugin.ts"

/**
 * `1 / (1 + streams / weight)`: 1 when idle, falling with every stream, more slowly on a backend of higher weight.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): Scorer => ({
  kind: "scorer",
  name: "least-busy",
  score: (view) => 1 / (1 + view.streams / view.backend.weight),
})
