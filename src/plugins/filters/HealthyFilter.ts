/**
 * Drops backends that an operator drains or isolates, and backends that are unhealthy.
 *
 * @since 0.1.0
 */
import type { Filter } from "../../services/Plugin.ts"

/**
 * Keeps active backends that are healthy or were not probed yet. A router that has just started must not refuse
 * requests that may well succeed.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): Filter => ({
  kind: "filter",
  name: "healthy",
  keep: (view) => view.member === "active" && view.health !== "unhealthy",
})
