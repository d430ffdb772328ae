/** What operators see of plans: what each wants since when, when it changes by the clock, and that it has failed. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { dated, Evaluations } from "../../../../src/layers/memory/prewarm/evaluations.ts"
import * as PlannedPrewarmer from "../../../../src/layers/memory/prewarm/PlannedPrewarmer.ts"
import * as CronPlan from "../../../../src/plugins/plans/CronPlan.ts"
import type { Plan } from "../../../../src/services/Plugin.ts"
import { Prewarmer, type PrewarmStatus } from "../../../../src/services/Prewarmer.ts"
import * as SimulatedFleet from "../../../../src/simulated/SimulatedFleet.ts"
import { elapse } from "../../../../src/testing/elapse.ts"
import { overManaged } from "../../../support/managed.ts"

const status = (fields: Partial<PrewarmStatus>): PrewarmStatus => ({
  plan: "p",
  model: "m",
  backend: "a",
  state: "pending",
  reason: "no free memory",
  ...fields,
})

describe("the evaluations of a plan", () => {
  it("keep since when it wants the same models, and drop that when it wants others, or none", () => {
    const evaluations = new Evaluations({ name: "p" }, 1000)
    assert.deepInclude(evaluations.status(), { plan: "p", models: [], since: undefined, intervalMillis: 1000 })
    const sinces = [["a", "b"], ["a", "b"], ["a"], [], [], ["a"]].map((models, i) => {
      evaluations.add(models.map((model) => ({ model })), i * 1000)
      return evaluations.status().since
    })
    assert.deepStrictEqual(sinces, [0, 0, 2000, 3000, 3000, 5000])
  })

  it("ask for the schedule again only when its next time has come, or the clock was set back", () => {
    const asked: Array<number> = []
    const schedule = (now: number) => {
      asked.push(now)
      return { models: ["m"], active: false, lastAt: now - 10, nextAt: now + 2500 }
    }
    const evaluations = new Evaluations({ name: "p", schedule }, 1000)
    for (const now of [5000, 6000, 7000, 8000, 9000, 100]) evaluations.add([], now)
    assert.deepStrictEqual(asked, [5000, 8000, 100])
    assert.strictEqual(evaluations.status().schedule?.nextAt, 2600)
  })

  it("tell a failure until the plan works again, and keep what it wanted", () => {
    const evaluations = new Evaluations({ name: "p" }, 1000)
    evaluations.add([{ model: "m" }], 0)
    evaluations.fail(new Error("no table"))
    assert.deepInclude(evaluations.status(), { models: ["m"], failure: "no table", since: 0 })
    evaluations.fail("torn")
    assert.strictEqual(evaluations.status().failure, "torn")
    evaluations.add([{ model: "m" }], 1000)
    assert.deepInclude(evaluations.status(), { failure: "", since: 0 })
  })
})

describe("the time since when a model is in its state", () => {
  const known = { ...status({}), since: 5 }

  it("stays while state and reason stay, for each plan, model and backend apart", () => {
    const now = [status({}), status({ backend: "b" }), status({ plan: "q" }), status({ model: "n" })]
    assert.deepStrictEqual(dated([known], now, 9).map(({ since }) => since), [5, 9, 9, 9])
  })

  it("begins again with another state, and with another reason", () => {
    const now = [status({ state: "loading", reason: "" })]
    assert.strictEqual(dated([known], now, 9)[0]!.since, 9)
    assert.strictEqual(dated([known], [status({ reason: "another load is under way" })], 9)[0]!.since, 9)
  })
})

describe("PlannedPrewarmer tells its plans", () => {
  const server: SimulatedFleet.ServerOptions = {
    ...SimulatedFleet.a100,
    loadTime: "20 seconds",
    models: [SimulatedFleet.Model.mistral],
  }
  let broken = false
  const plan: Plan = {
    kind: "plan",
    name: "mine",
    targets: () => {
      if (broken) throw new Error("no table")
      return Effect.succeed([{ model: "mistral:7b" }])
    },
  }
  const nightly = CronPlan.make({ models: ["mistral:7b"], from: "0 2 * * *", until: "0 4 * * *", before: 0 })

  it.effect("with what they want, their schedule, and how they fail", () =>
    Effect.gen(function* () {
      const prewarmer = yield* Prewarmer
      yield* elapse("5 seconds")
      const [first, second] = prewarmer.plans!()
      assert.deepInclude(first, { plan: "mine", models: ["mistral:7b"], failure: "", intervalMillis: 2000 })
      assert.isUndefined(first!.schedule)
      assert.deepStrictEqual([second!.plan, second!.models], ["cron", []])
      assert.deepInclude(second!.schedule, { active: false, nextAt: 2 * 3_600_000 })
      const { since, state } = prewarmer.status()[0]!
      assert.strictEqual(state, "loading")
      yield* elapse("1 minute")
      const later = prewarmer.status()[0]!
      assert.strictEqual(later.state, "resident")
      assert.isAbove(later.since!, since!)
      assert.isBelow(later.since!, 65_000)
      broken = true
      yield* elapse("4 seconds")
      assert.deepInclude(prewarmer.plans!()[0], { models: ["mistral:7b"], failure: "no table" })
      assert.strictEqual(prewarmer.plans!()[1]!.failure, "")
    }).pipe(Effect.provide(
      overManaged({ a: server }, {
        prewarmer: PlannedPrewarmer.layer({ plans: [plan, nightly], interval: "2 seconds" }),
      }),
    )))
})
