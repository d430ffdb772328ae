import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as NoPrewarmer from "../../src/layers/memory/prewarm/NoPrewarmer.ts"
import * as PollingResidency from "../../src/layers/memory/residency/PollingResidency.ts"
import * as ProfilePlacement from "../../src/layers/placement/ProfilePlacement.ts"
import * as PipelineRouter from "../../src/layers/router/PipelineRouter.ts"
import * as Standard from "../../src/layers/Standard.ts"
import * as FailoverRetry from "../../src/plugins/retry/FailoverRetry.ts"
import * as StandardProfile from "../../src/plugins/StandardProfile.ts"
import * as NoVictimPicker from "../../src/plugins/victims/NoVictimPicker.ts"
import type { VictimPicker } from "../../src/services/Plugin.ts"
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"
import { elapse } from "../../src/testing/elapse.ts"
import { overManaged } from "../support/managed.ts"
import { ask } from "../support/routers.ts"

describe("Standard.layer", () => {
  const misplaced: ReadonlyArray<readonly [string, () => unknown, RegExp]> = [
    [
      "guards beside a router",
      () => Standard.layer({ guards: [], router: PipelineRouter.layer() }),
      /guards and retry are options of the router/,
    ],
    [
      "a retry policy beside a router",
      () => Standard.layer({ retry: FailoverRetry.make(), router: PipelineRouter.layer() }),
      /guards and retry are options of the router/,
    ],
    [
      "a profile beside a placement",
      () =>
        Standard.layer({
          profile: StandardProfile.make(),
          placement: ProfilePlacement.layer(StandardProfile.make()),
        }),
      /profiles are options of the placement/,
    ],
    [
      "a picker of victims beside a residency",
      () => Standard.layer({ victims: NoVictimPicker.make(), residency: PollingResidency.layer() }),
      /victims are options of the residency/,
    ],
    [
      "plans beside a prewarmer",
      () => Standard.layer({ plans: [], prewarmer: NoPrewarmer.layer }),
      /plans are options of the prewarmer/,
    ],
  ]
  it.each(misplaced)("throws a RangeError for %s", (_, build, message) => {
    assert.throws(build, RangeError)
    assert.throws(build, message)
  })

  it.effect("asks the picker of victims when a load needs room", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const victims: VictimPicker = {
        kind: "victim-picker",
        name: "first",
        pick: (candidates) => {
          asked.push(...candidates.map(({ model }) => model))
          return candidates.length === 0 ? [] : [0]
        },
      }
      const { llama31, mistral } = SimulatedFleet.Model
      const router = overManaged({ a: { gpus: ["12 GiB"], models: [llama31, mistral], loadTime: 1 } }, { victims })
      yield* Effect.gen(function* () {
        yield* elapse("6 seconds")
        for (const { name } of [llama31, mistral]) {
          const call = yield* Effect.forkChild(
            ask("/api/generate", { model: name, prompt: "hi", stream: false, options: { num_predict: 1 } }),
          )
          yield* elapse("1 minute")
          yield* Fiber.join(call)
        }
      }).pipe(Effect.provide(router))
      assert.deepStrictEqual(asked, [llama31.name])
    }))
})
