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
  /** Since when it has been in this state, in milliseconds by the router's clock; absent where nobody keeps it. */
  readonly since?: number | undefined
}

/**
 * When a plan that goes by the clock wants its models. Times are milliseconds by the router's clock.
 *
 * @category models
 * @since 0.1.0
 */
export interface PlanSchedule {
  /** The models that it is about, also at times when it does not want them. */
  readonly models: ReadonlyArray<string>
  /** Whether it wants them now. */
  readonly active: boolean
  /** When that last began or ended; `undefined` if it never has. */
  readonly lastAt: number | undefined
  /** When it next ends or begins; `undefined` if it never will. */
  readonly nextAt: number | undefined
}

/** A plan, what it wants, and when. @category models @since 0.1.0 */
export interface PlanStatus {
  readonly plan: string
  /** The models that it wants in memory now. */
  readonly models: ReadonlyArray<string>
  /** Since when it wants these, in milliseconds by the router's clock; `undefined` before it was asked. */
  readonly since: number | undefined
  /** Time between two times when it is asked what it wants, in milliseconds. */
  readonly intervalMillis: number
  /** Why it could not say what it wants; empty otherwise. Then `models` are those that it wanted before. */
  readonly failure: string
  /** `undefined` for a plan that does not go by the clock. */
  readonly schedule: PlanSchedule | undefined
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
  /** The plans in order of importance; absent where nobody keeps them. */
  readonly plans?: (() => ReadonlyArray<PlanStatus>) | undefined
  /** Whether all models that readiness waits for are in memory. */
  readonly ready: () => boolean
}
