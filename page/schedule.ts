/** The prewarm plans in words, each with its models. */
import * as Format from "./format.ts"
import type { State } from "./state.ts"

type Plan = State["plans"][number]
export type Prewarm = State["prewarm"][number]

/** A plan that wants something, or that will. */
export interface Scheduled {
  readonly key: string
  readonly plan: string
  /** What it wants and when. */
  readonly when: string
  readonly failure: string
  readonly models: ReadonlyArray<Prewarm>
}

const names = (models: ReadonlyArray<string>): string =>
  models.length > 3 ? `${models.slice(0, 3).join(", ")} and ${models.length - 3} more` : models.join(", ")

/** How far away a moment is: `in 2 h 5 min`. */
const until = (at: string, now: string): string => `in ${Format.running((Date.parse(at) - Date.parse(now)) / 1000)}`

const whenOf = ({ every_seconds, models, schedule, since }: Plan, now: string): string => {
  if (schedule === null) {
    const asked = every_seconds === 1 ? "asked every second" : `asked every ${Format.running(every_seconds)}`
    if (models.length === 0) return `wants nothing now, ${asked}`
    return `wants ${names(models)}${since === null ? "" : ` since ${Format.moment(since)}`}, ${asked}`
  }
  const { active, last_at, next_at } = schedule
  const last = last_at === null ? "" : `${active ? "since" : "last until"} ${Format.moment(last_at)}`
  const next = next_at === null ? "" : `${active ? "until" : "next"} ${Format.moment(next_at)}, ${until(next_at, now)}`
  return `${active ? "wants" : "will want"} ${names(schedule.models)}: ${
    [last, next].filter((text) => text !== "").join(", ")
  }`
}

/** The plans that want something or will, and those that have failed. Models of a plan that is not told come, too. */
export const schedule = ({ at, plans, prewarm }: State): ReadonlyArray<Scheduled> => {
  const told = plans.filter(({ failure, models, schedule }) => failure !== "" || models.length > 0 || schedule !== null)
  const known = new Set(told.map(({ plan }) => plan))
  const others = new Set(prewarm.map(({ plan }) => plan).filter((plan) => !known.has(plan)))
  const modelsOf = (plan: string) => prewarm.filter((one) => one.plan === plan && one.model !== "")
  // Several plans can have one name, and the models do not say which of them wants them: they come with the first.
  const first = new Set<string>()
  return [
    ...told.map((one, index) => {
      const models = first.has(one.plan) ? [] : modelsOf(one.plan)
      first.add(one.plan)
      return { key: `${index} ${one.plan}`, plan: one.plan, when: whenOf(one, at), failure: one.failure, models }
    }),
    ...Array.from(others, (plan) => ({ key: plan, plan, when: "", failure: "", models: modelsOf(plan) })),
  ]
}
