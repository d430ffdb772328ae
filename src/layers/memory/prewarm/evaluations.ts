/**
 * Remembers for operators since when each plan wants what it wants, and since when each of its models is in its state.
 *
 * @since 0.1.0
 */
import type { Plan, PrewarmTarget } from "../../../services/Plugin.ts"
import type { PlanSchedule, PlanStatus, PrewarmStatus } from "../../../services/Prewarmer.ts"
import { keyOf } from "./prewarmMeter.ts"

/** The evaluations of one plan. @category models @since 0.1.0 */
export class Evaluations {
  private readonly plan: Pick<Plan, "name" | "schedule">
  private models: ReadonlyArray<string> = []
  private readonly intervalMillis: number
  private since: number | undefined = undefined
  private failure = ""
  private schedule: PlanSchedule | undefined = undefined

  constructor(plan: Pick<Plan, "name" | "schedule">, intervalMillis: number) {
    this.plan = plan
    this.intervalMillis = intervalMillis
  }

  /** The plan has said at `now` what it wants. */
  add(targets: ReadonlyArray<PrewarmTarget>, now: number): void {
    const models = targets.map(({ model }) => model)
    const isSame = models.length === this.models.length && models.every((model, i) => model === this.models[i])
    if (!isSame || this.since === undefined) this.since = now
    this.models = models
    this.failure = ""
    // It changes only when its next time has come.
    const { schedule } = this
    const isDue = schedule?.nextAt === undefined || now >= schedule.nextAt || now < (schedule.lastAt ?? -Infinity)
    if (isDue) this.schedule = this.plan.schedule?.(now)
  }

  /** The plan has thrown. */
  fail(defect: unknown): void {
    this.failure = defect instanceof Error ? defect.message : String(defect)
  }

  status(): PlanStatus {
    const { failure, intervalMillis, models, plan: { name }, schedule, since } = this
    return { plan: name, models, since, intervalMillis, failure, schedule }
  }
}

/** Gives each status the time since when it is as it is. @category combinators @since 0.1.0 */
export const dated = <S extends PrewarmStatus>(
  before: ReadonlyArray<S>,
  now: ReadonlyArray<S>,
  at: number,
): ReadonlyArray<S> => {
  const known = new Map(before.map((status) => [keyOf(status), status]))
  return now.map((status) => {
    const last = known.get(keyOf(status))
    const isSame = last?.state === status.state && last.reason === status.reason
    return { ...status, since: isSame ? last.since ?? at : at }
  })
}
