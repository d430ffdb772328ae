/**
 * The prewarm plans in the state of the router: the types of what `planSchemas.ts` encodes. Times are ISO 8601,
 * durations are seconds; `null` means "not known".
 *
 * @since 0.1.0
 */

/** A model that a plan wants in memory. @category models @since 0.1.0 */
export interface PrewarmState {
  readonly plan: string
  readonly model: string
  readonly backend: string | null
  readonly state: "pending" | "loading" | "resident" | "failed"
  readonly reason: string
  /** Since when it has been in this state. */
  readonly since: string | null
}

/** A prewarm plan. @category models @since 0.1.0 */
export interface PlanState {
  readonly plan: string
  /** The models that it wants in memory now. */
  readonly models: ReadonlyArray<string>
  /** Since when it wants these. */
  readonly since: string | null
  /** Time between two times when it is asked what it wants. */
  readonly every_seconds: number
  /** Why it could not say what it wants; empty otherwise. */
  readonly failure: string
  /** `null` for a plan that does not go by the clock. */
  readonly schedule: {
    /** The models that it is about, also at times when it does not want them. */
    readonly models: ReadonlyArray<string>
    /** Whether it wants them now. */
    readonly active: boolean
    /** When that last began or ended, and when it ends or begins next. */
    readonly last_at: string | null
    readonly next_at: string | null
  } | null
}
