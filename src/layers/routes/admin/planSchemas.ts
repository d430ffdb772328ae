/**
 * The prewarm plans in the state of the router. Times are ISO 8601, durations are seconds; `null` means "not known".
 *
 * @since 0.1.0
 */
import { Schema } from "effect"

const known = <S extends Schema.Constraint>(schema: S) => Schema.NullOr(schema)

/** @category schemas @since 0.1.0 */
export const Prewarm = Schema.Struct({
  plan: Schema.String,
  model: Schema.String,
  backend: known(Schema.String),
  state: Schema.Literals(["pending", "loading", "resident", "failed"]),
  reason: Schema.String,
  /** Since when it has been in this state. */
  since: known(Schema.String),
}).annotate({ identifier: "Prewarm" })

/** A prewarm plan. @category schemas @since 0.1.0 */
export const Plan = Schema.Struct({
  plan: Schema.String,
  /** The models that it wants in memory now. */
  models: Schema.Array(Schema.String),
  /** Since when it wants these. */
  since: known(Schema.String),
  /** Time between two times when it is asked what it wants. */
  every_seconds: Schema.Number,
  /** Why it could not say what it wants; empty otherwise. */
  failure: Schema.String,
  /** `null` for a plan that does not go by the clock. */
  schedule: known(Schema.Struct({
    /** The models that it is about, also at times when it does not want them. */
    models: Schema.Array(Schema.String),
    /** Whether it wants them now. */
    active: Schema.Boolean,
    /** When that last began or ended, and when it ends or begins next. */
    last_at: known(Schema.String),
    next_at: known(Schema.String),
  })),
}).annotate({ identifier: "Plan" })
