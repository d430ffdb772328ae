/** The prewarm plans in words. */
import { assert, describe, it } from "@effect/vitest"
import * as Format from "../../page/format.ts"
import { schedule } from "../../page/schedule.ts"
import type { State } from "../../page/state.ts"
import { state } from "../support/pageState.ts"

type Plan = State["plans"][number]

const at = "2026-06-02T12:00:00.000Z"
const later = "2026-06-02T14:05:00.000Z"
const plan = (fields: Partial<Plan>): Plan => ({
  plan: "p",
  models: [],
  since: null,
  every_seconds: 1,
  failure: "",
  schedule: null,
  ...fields,
})
const model = (plan: string, name: string) =>
  ({ plan, model: name, backend: "a", state: "pending", reason: "no free memory", since: at }) as const
const told = (plans: ReadonlyArray<Plan>, prewarm: State["prewarm"] = []) => schedule(state({ at, plans, prewarm }))

describe("the prewarm schedule", () => {
  it("says what a plan wants, since when, and how often it is asked", () => {
    const [one] = told([plan({ models: ["m", "n"], since: at, every_seconds: 2 })])
    assert.strictEqual(one!.when, `wants m, n since ${Format.moment(at)}, asked every 2 s`)
  })

  it("has words for a second", () => {
    assert.strictEqual(told([plan({ models: ["m"] })])[0]!.when, "wants m, asked every second")
  })

  it("says when a plan that goes by the clock begins next, or ends", () => {
    const next = { models: ["m"], active: false, last_at: at, next_at: later }
    const when = (schedule: Plan["schedule"]) => told([plan({ schedule })])[0]!.when
    const [from, to] = [Format.moment(at), Format.moment(later)]
    assert.strictEqual(when(next), `will want m: last until ${from}, next ${to}, in 2 h 5 min`)
    assert.strictEqual(when({ ...next, active: true }), `wants m: since ${from}, until ${to}, in 2 h 5 min`)
    assert.strictEqual(
      when({ ...next, last_at: null, models: ["a", "b", "c", "d", "e"] }),
      `will want a, b, c and 2 more: next ${to}, in 2 h 5 min`,
    )
  })

  it("leaves out plans that want nothing, and keeps those that fail", () => {
    assert.deepStrictEqual(told([plan({})]), [])
    assert.deepStrictEqual(told([plan({ failure: "no table" })]).map(({ failure }) => failure), ["no table"])
  })

  it("puts each model with its plan, once where plans share a name, also without a plan that tells", () => {
    const plans = [plan({ plan: "cron", models: ["m"] }), plan({ plan: "cron", models: ["n"] })]
    const all = told(plans, [model("cron", "m"), model("cron", "n"), model("other", "o"), model("other", "")])
    assert.deepStrictEqual(all.map(({ models, plan }) => [plan, models.map((one) => one.model)]), [
      ["cron", ["m", "n"]],
      ["cron", []],
      ["other", ["o"]],
    ])
    assert.strictEqual(new Set(all.map(({ key }) => key)).size, 3)
  })
})
