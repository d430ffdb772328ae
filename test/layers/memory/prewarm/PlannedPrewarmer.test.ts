import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as PlannedPrewarmer from "../../../../src/layers/memory/prewarm/PlannedPrewarmer.ts"
import * as PipelineRouter from "../../../../src/layers/router/PipelineRouter.ts"
import * as AtStartPlan from "../../../../src/plugins/plans/AtStartPlan.ts"
import * as CronPlan from "../../../../src/plugins/plans/CronPlan.ts"
import * as DemandPlan from "../../../../src/plugins/plans/DemandPlan.ts"
import * as PinnedPlan from "../../../../src/plugins/plans/PinnedPlan.ts"
import { ModelCatalog } from "../../../../src/services/ModelCatalog.ts"
import { Fleet } from "../../../../src/services/Fleet.ts"
import type { Plan } from "../../../../src/services/Plugin.ts"
import { Prewarmer } from "../../../../src/services/Prewarmer.ts"
import { Residency } from "../../../../src/services/Residency.ts"
import type { RequestSettled } from "../../../../src/services/RouterEvents.ts"
import * as SimulatedFleet from "../../../../src/simulated/SimulatedFleet.ts"
import { elapse } from "../../../../src/testing/elapse.ts"
import { overManaged } from "../../../support/managed.ts"
import { ask, url } from "../../../support/routers.ts"

const { a100, Model } = SimulatedFleet
const gib = 1024 ** 3
const big = (name: string, size: number) =>
  Model.model({ name, size: size * gib, blocks: 32, overhead: 0, tokenizer: "chars4", contextTrained: 4096 })
const server: SimulatedFleet.ServerOptions = {
  ...a100,
  gpus: ["40 GiB"],
  models: [big("x", 20), big("y", 15), big("z", 20)],
}
const stack = (...plans: ReadonlyArray<Plan>) =>
  overManaged({ a: server }, { prewarmer: PlannedPrewarmer.layer({ plans }) })
const names = Effect.map(
  SimulatedFleet.SimulatedFleet,
  ({ get }) => get(url("a")).resident.map(({ name }) => name).toSorted(),
)
const states = Effect.map(Prewarmer, ({ status }) => status().map(({ model, state }) => `${model} ${state}`))

describe("PlannedPrewarmer", () => {
  it.effect("loads at the start, and readiness waits for it", () =>
    Effect.gen(function* () {
      const prewarmer = yield* Prewarmer
      yield* elapse("3 seconds")
      assert.isFalse(prewarmer.ready())
      yield* elapse("40 seconds")
      assert.isTrue(prewarmer.ready())
      assert.deepStrictEqual(yield* names, ["x:latest", "y:latest"])
    }).pipe(Effect.provide(stack(AtStartPlan.make(["x", "y"])))))

  it.effect("a pinned model is not unloaded for another model", () =>
    Effect.gen(function* () {
      yield* elapse("40 seconds")
      const fiber = yield* Effect.forkChild(ask("/api/generate", { model: "z", prompt: "hi", stream: false }))
      yield* elapse("60 seconds")
      assert.deepStrictEqual(yield* names, ["x:latest"])
      assert.isUndefined(fiber.pollUnsafe())
    }).pipe(Effect.provide(stack(PinnedPlan.make(["x"])))))

  it.effect("loads only into free memory, unless the plan may evict", () =>
    Effect.gen(function* () {
      const fill = (evicts: boolean): Plan => ({
        kind: "plan",
        name: "fill",
        targets: (now) => Effect.succeed(now < 40_000 ? [{ model: "x" }] : [{ model: "z", evicts }]),
      })
      for (const evicts of [false, true]) {
        yield* Effect.gen(function* () {
          yield* elapse("90 seconds")
          assert.deepStrictEqual(yield* names, [evicts ? "z:latest" : "x:latest"])
          assert.deepStrictEqual(yield* states, [evicts ? "z:latest resident" : "z:latest pending"])
        }).pipe(Effect.provide(Layer.fresh(stack(fill(evicts))), { local: true }), Effect.provide(TestClock.layer()))
      }
    }))

  it.effect("a plan that throws keeps what it had and does not stop the other plans", () => {
    let broken = false
    const unstable: Plan = {
      kind: "plan",
      name: "unstable",
      targets: () => {
        if (broken) throw new Error("a broken plan")
        return Effect.succeed([{ model: "y", pinned: true, released: true }])
      },
    }
    return Effect.gen(function* () {
      const prewarmer = yield* Prewarmer
      yield* elapse("40 seconds")
      assert.deepStrictEqual(yield* names, ["x:latest", "y:latest"])
      broken = true
      const residency = yield* Residency
      const x = (yield* ModelCatalog).peek("x")!
      residency.unload((yield* Fleet).members()[0]!.backend, x)
      yield* elapse("60 seconds")
      assert.isTrue(prewarmer.ready())
      assert.deepStrictEqual(yield* names, ["x:latest", "y:latest"])
      assert.deepStrictEqual(yield* states, ["y:latest resident", "x:latest resident"])
    }).pipe(Effect.provide(stack(unstable, PinnedPlan.make(["x"]))))
  })

  it.effect("a time window loads a model before it begins and unloads it after its end", () => {
    const window = CronPlan.make({
      models: ["x"],
      from: "0 9 * * 1-5",
      until: "1 10 * * 1-5",
      timeZone: "Europe/Berlin",
    })
    return Effect.gen(function* () {
      // The clock is set first, so that the test does not run through all the years in between.
      yield* TestClock.setTime(Date.UTC(2026, 5, 1, 6, 50))
      yield* Effect.gen(function* () {
        yield* elapse("4 minutes", "5 seconds")
        assert.deepStrictEqual(yield* names, [])
        yield* elapse("3 minutes", "5 seconds")
        assert.deepStrictEqual(yield* names, ["x:latest"], "09:00 in Berlin is 07:00 UTC in June; 5 minutes before")
        yield* elapse("63 minutes", "30 seconds")
        assert.deepStrictEqual(yield* names, ["x:latest"])
        yield* elapse("2 minutes", "5 seconds")
        assert.deepStrictEqual(yield* names, [], "10:00 is over")
      }).pipe(Effect.provide(stack(window)))
    })
  })
})

describe("DemandPlan", () => {
  const used = (at: number): RequestSettled => ({
    _tag: "RequestSettled",
    at,
    id: "r",
    route: "/api/chat",
    kind: "chat",
    model: "m:latest",
    known: true,
    tenant: "t",
    settled: {
      result: "answered",
      status: 200,
      refusal: undefined,
      outcome: undefined,
      backend: "a",
      attempts: 1,
      queuedMillis: 0,
    },
    totalMillis: 0,
    bytesIn: 0,
    bytesOut: 0,
  })
  const minute = 60_000

  it.effect("wants a model by its histogram, and for a fixed time while it has no histogram", () =>
    Effect.gen(function* () {
      const { observer, plan } = DemandPlan.make()
      const wants = (now: number) => Effect.map(plan.targets(now), (targets) => targets.length > 0)
      observer.observe(used(0))
      assert.isTrue(yield* wants(9 * minute))
      assert.isFalse(yield* wants(11 * minute))
      // Used exactly every half hour.
      for (let i = 1; i <= 25; i++) observer.observe(used(i * 30.5 * minute))
      const last = 25 * 30.5 * minute
      assert.isFalse(yield* wants(last + 20 * minute))
      assert.isTrue(yield* wants(last + 28 * minute))
      assert.isTrue(yield* wants(last + 31 * minute))
      assert.isFalse(yield* wants(last + 40 * minute))
    }))
})

it.effect("readiness, residency and the catalog agree", () =>
  Effect.gen(function* () {
    yield* elapse("40 seconds")
    const model = (yield* ModelCatalog).peek("y")!
    assert.strictEqual((yield* Residency).state("a", model), "resident")
  }).pipe(Effect.provide(
    overManaged({ a: server }, {
      prewarmer: PlannedPrewarmer.layer({ plans: [PinnedPlan.make(["y"])] }),
      router: PipelineRouter.layer(),
    }),
  )))
