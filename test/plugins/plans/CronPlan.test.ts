/** When a plan that goes by the clock wants its models: for operators, and it agrees with what it wants. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as CronPlan from "../../../src/plugins/plans/CronPlan.ts"

const at = (text: string): number => Date.parse(`${text}:00.000Z`)
const told = (plan: ReturnType<typeof CronPlan.make>, now: string) => {
  const { active, lastAt, models, nextAt } = plan.schedule!(at(now))
  const iso = (millis: number | undefined) => millis === undefined ? "" : new Date(millis).toISOString().slice(0, 16)
  return [active, iso(lastAt), iso(nextAt), models.join()]
}

describe("the schedule of a CronPlan", () => {
  const office = CronPlan.make({ models: ["x", "y"], from: "0 9 * * 1-5", until: "0 18 * * 1-5" })

  it("says when it last began and when it ends, or when it last ended and when it begins, five minutes early", () => {
    assert.deepStrictEqual(told(office, "2026-06-02T08:54"), [false, "2026-06-01T18:00", "2026-06-02T08:55", "x,y"])
    assert.deepStrictEqual(told(office, "2026-06-02T08:55"), [true, "2026-06-02T08:55", "2026-06-02T18:00", "x,y"])
    assert.deepStrictEqual(told(office, "2026-06-02T17:59"), [true, "2026-06-02T08:55", "2026-06-02T18:00", "x,y"])
    assert.deepStrictEqual(told(office, "2026-06-02T18:00"), [false, "2026-06-02T18:00", "2026-06-03T08:55", "x,y"])
  })

  it("goes over a weekend, over midnight, and by the time zone", () => {
    assert.deepStrictEqual(told(office, "2026-06-06T12:00"), [false, "2026-06-05T18:00", "2026-06-08T08:55", "x,y"])
    const night = CronPlan.make({ models: ["x"], from: "0 22 * * *", until: "0 6 * * *", before: 0 })
    assert.deepStrictEqual(told(night, "2026-06-02T00:30"), [true, "2026-06-01T22:00", "2026-06-02T06:00", "x"])
    const berlin = CronPlan.make({ models: ["x"], from: "0 9 * * *", until: "0 10 * * *", timeZone: "Europe/Berlin" })
    assert.deepStrictEqual(told(berlin, "2026-06-02T06:00"), [false, "2026-06-01T08:00", "2026-06-02T06:55", "x"])
  })

  it.effect("is active exactly when it wants its models, in every minute of a week", () =>
    Effect.gen(function* () {
      for (let minute = 0; minute < 7 * 24 * 60; minute += 5) {
        const now = at("2026-06-01T00:00") + minute * 60_000
        const targets = yield* office.targets(now)
        const { active, lastAt, nextAt } = office.schedule!(now)
        assert.strictEqual(targets.length > 0, active, new Date(now).toISOString())
        assert.isAtMost(lastAt!, now)
        assert.isAbove(nextAt!, now)
      }
    }))
})
