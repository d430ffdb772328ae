import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Random } from "effect"
import * as SynchronousRouterEvents from "../../../src/layers/events/SynchronousRouterEvents.ts"
import * as ProfilePlacement from "../../../src/layers/placement/ProfilePlacement.ts"
import * as ShadowPlacement from "../../../src/layers/placement/ShadowPlacement.ts"
import * as TwoChoicesPicker from "../../../src/plugins/pickers/TwoChoicesPicker.ts"
import * as StandardProfile from "../../../src/plugins/StandardProfile.ts"
import { Placement } from "../../../src/services/Placement.ts"
import type { Profile, Scorer } from "../../../src/services/Plugin.ts"
import { RouterEvents, type Shadowed } from "../../../src/services/RouterEvents.ts"
import { contract } from "../../../src/testing/contracts/Placement.ts"
import { holds } from "../../support/checks.ts"
import { demandFor, modelOn } from "../../support/demands.ts"
import { ask, over } from "../../support/routers.ts"
import { fleetOf, viewOf } from "../../support/views.ts"

const standard = StandardProfile.make()
const towards = (id: string): Profile => {
  const scorer: Scorer = { kind: "scorer", name: id, score: ({ backend }) => backend.id === id ? 1 : 0 }
  return { ...standard, scorers: [{ scorer, weight: 1 }] }
}
const broken: Profile = {
  ...standard,
  scorers: [{
    scorer: {
      kind: "scorer",
      name: "broken",
      score: () => {
        throw new Error("boom")
      },
    },
    weight: 1,
  }],
}

const shadowing = (live: Profile, shadow: Profile, sample = 1) =>
  ShadowPlacement.layer({
    live: ProfilePlacement.layer(live),
    shadow: ProfilePlacement.layer(shadow),
    name: "next",
    sample,
  }).pipe(Layer.provideMerge(SynchronousRouterEvents.layer))

holds("Placement contract: shadow", contract(shadowing(standard, towards("b")).pipe(Layer.orDie)))

const model = modelOn("m:latest", "a", "b", "c")
const fleet = fleetOf([viewOf("a"), viewOf("b"), viewOf("c")])

/** Ranks, and gives the lease to the first. */
const decide = Effect.gen(function* () {
  const ranking = (yield* Placement).rank(demandFor(model), fleet)
  const order = ProfilePlacement.order(ranking)
  ranking.taken?.(order[0]!)
  return order
})
const shadowed = Effect.map(
  RouterEvents,
  (events) => events.recent(100).filter((event): event is Shadowed => event._tag === "Shadowed").toReversed(),
)

describe("ShadowPlacement", () => {
  it.effect("leaves the decision to the live profile, and publishes where the shadow agrees and where not", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* decide)[0], "a")
      const [event] = yield* shadowed
      assert.deepInclude(event, { shadow: "next", model: "m:latest", took: "a", would: "b", result: "different" })
    }).pipe(Effect.provide(shadowing(towards("a"), towards("b")))))

  it.effect("publishes an agreement", () =>
    Effect.gen(function* () {
      yield* decide
      assert.deepInclude((yield* shadowed)[0], { took: "a", would: "a", result: "same" })
    }).pipe(Effect.provide(shadowing(towards("a"), towards("a")))))

  it.effect("counts a shadow that throws, and changes nothing else", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* decide)[0], "a")
      assert.deepInclude((yield* shadowed)[0], { took: "a", would: undefined, result: "failed" })
    }).pipe(Effect.provide(shadowing(towards("a"), broken))))

  it.effect("publishes nothing about a request that gets no lease", () =>
    Effect.gen(function* () {
      const ranking = (yield* Placement).rank(demandFor(model), fleet)
      ProfilePlacement.order(ranking)
      assert.lengthOf(yield* shadowed, 0)
    }).pipe(Effect.provide(shadowing(towards("a"), towards("b")))))

  it.effect("asks the shadow about its share of the decisions, evenly spread", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 100; i++) yield* decide
      assert.lengthOf(yield* shadowed, 25)
    }).pipe(Effect.provide(shadowing(towards("a"), towards("b"), 0.25))))

  it.effect("does not change what the live picker draws", () =>
    Effect.gen(function* () {
      const random: Profile = { ...standard, scorers: [], picker: TwoChoicesPicker.make() }
      const run = (layer: Layer.Layer<Placement>) =>
        Effect.replicateEffect(decide, 50).pipe(Effect.provide(layer), Random.withSeed("same"))
      const alone = yield* run(ProfilePlacement.layer(random))
      const beside = yield* run(shadowing(random, random))
      assert.deepStrictEqual(beside, alone)
      assert.isAbove(new Set(alone.map(([first]) => first)).size, 1)
    }))

  it("refuses a sample outside [0, 1]", () => {
    for (const sample of [-0.1, 1.1, NaN]) {
      assert.throws(() => Effect.runSync(Effect.scoped(Layer.build(shadowing(standard, standard, sample)))), RangeError)
    }
  })

  it.effect("works in a router", () =>
    Effect.gen(function* () {
      yield* ask("/api/generate", { model: "tiny-eos", prompt: "hi", stream: false })
      const [event, ...others] = yield* shadowed
      assert.lengthOf(others, 0)
      assert.deepInclude(event, { took: "a", would: "b", result: "different", shadow: "shadow" })
    }).pipe(Effect.provide(
      over({ a: {}, b: {} }, { profile: towards("a"), shadow: { profile: towards("b"), sample: 1 } }),
    )))
})
