/**
 * The schemas of the prewarm plans in the state of the router. `planStates.ts` says what the fields mean.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"
import type * as States from "./planStates.ts"

const known = <S extends Schema.Constraint>(schema: S) => Schema.NullOr(schema)

/** @category schemas @since 0.1.0 */
export const Prewarm: Schema.Codec<States.PrewarmState> = Schema.Struct({
  plan: Schema.String,
  model: Schema.String,
  backend: known(Schema.String),
  state: Schema.Literals(["pending", "loading", "resident", "failed"]),
  reason: Schema.String,
  since: known(Schema.String),
}).annotate({ identifier: "Prewarm" })

/** @category schemas @since 0.1.0 */
export const Plan: Schema.Codec<States.PlanState> = Schema.Struct({
  plan: Schema.String,
  models: Schema.Array(Schema.String),
  since: known(Schema.String),
  every_seconds: Schema.Number,
  failure: Schema.String,
  schedule: known(Schema.Struct({
    models: Schema.Array(Schema.String),
    active: Schema.Boolean,
    last_at: known(Schema.String),
    next_at: known(Schema.String),
  })),
}).annotate({ identifier: "Plan" })
