/**
 * Loads models before requests ask for them.
 *
 * @since 0.1.0
 */
import { Context } from "effect"

/** The state of a model that a plan wants in memory. @category models @since 0.1.0 */
export interface PrewarmStatus {
  readonly plan: string
  readonly model: string
  readonly backend: string | undefined
  readonly state: "pending" | "loading" | "resident" | "failed"
  /** Why it is pending or failed, for people; empty otherwise. */
  readonly reason: string
}

const key = "llamero/services/Prewarmer"
const Base: Context.ServiceClass<Prewarmer, typeof key, Service> = Context.Service<Prewarmer, Service>()(key)

/**
 * The models that the plans want, and the state of each.
 *
 * @category services
 * @since 0.1.0
 */
export class Prewarmer extends Base {}

/** The members of `Prewarmer`. @category services @since 0.1.0 */
export interface Service {
  readonly status: () => ReadonlyArray<PrewarmStatus>
  /** Whether all models that readiness waits for are in memory. */
  readonly ready: () => boolean
}
