/**
 * Drops backends that an operator holds out or that health calls unhealthy.
 *
 * @since 0.1.0
 */
import type { Filter } from "../../services/Plugin.ts"

/**
 * Keeps active backends that are healthy, or not yet probed: a router that has just started must not refuse what may well work.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): Filter => ({
  kind: "filter",
  name: "healthy",
  keep: (view) => view.member === "active" && view.health !== "unhealthy",
})
