/**
 * Has models in memory before anyone asks for them.
 *
 * @since 0.1.0
 */
import { Context } from "effect"

/** A model that a plan wants in memory. @category models @since 0.1.0 */
export interface PrewarmStatus {
  readonly plan: string
  readonly model: string
  readonly backend: string | undefined
  readonly state: "pending" | "loading" | "resident" | "failed"
  /** In words; empty unless failed. */
  readonly reason: string
}

/**
 * What the plans want, and how far it has got.
 *
 * @category services
 * @since 0.1.0
 */
export class Prewarmer extends Context.Service<Prewarmer, {
  readonly status: () => ReadonlyArray<PrewarmStatus>
  /** Whether everything that readiness waits for is in memory. */
  readonly ready: () => boolean
}>()("llamero/services/Prewarmer") {}
