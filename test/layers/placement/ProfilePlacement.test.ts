import { assert, describe, it } from "@effect/vitest"
import { Effect, Random } from "effect"
import * as OwnersPlacement from "../../../src/layers/placement/OwnersPlacement.ts"
import * as ProfilePlacement from "../../../src/layers/placement/ProfilePlacement.ts"
import * as StandardProfile from "../../../src/plugins/StandardProfile.ts"
import { backend } from "../../../src/services/Fleet.ts"
import { Placement } from "../../../src/services/Placement.ts"
import type { Profile, Scorer } from "../../../src/services/Plugin.ts"
import { contract } from "../../../src/testing/contracts/Placement.ts"
import { holds } from "../../support/checks.ts"
import { demandFor, modelOn } from "../../support/demands.ts"
import { fleetOf, viewOf } from "../../support/views.ts"

holds("Placement contract: profile", contract(ProfilePlacement.layer(StandardProfile.make())))
holds("Placement contract: owners", contract(OwnersPlacement.layer))

describe("ProfilePlacement with the standard profile", () => {
  const model = modelOn("m:latest", "a", "b", "c")
  const ranked = (...views: Parameters<typeof fleetOf>[0]) =>
    Effect.map(
      Placement,
      (placement) => ProfilePlacement.order(placement.rank(demandFor(model), fleetOf(views))),
    ).pipe(Effect.provide(ProfilePlacement.layer(StandardProfile.make())))

  it.effect("prefers a backend with the model in memory to an idle one without, and loading to absent", () =>
    Effect.gen(function* () {
      const order = yield* ranked(
        viewOf("a", { residency: () => "absent" }),
        viewOf("b", { residency: () => "loading", streams: 1 }),
        viewOf("c", { residency: () => "resident", streams: 7 }),
      )
      assert.deepStrictEqual(order, ["c", "b", "a"])
    }))

  it.effect("of two backends with the model in memory prefers the less busy, relative to its weight", () =>
    Effect.gen(function* () {
      const strong = backend({ url: "http://b:11434", id: "b", weight: 4 })
      const order = yield* ranked(viewOf("a", { streams: 1 }), viewOf("b", { streams: 2, backend: strong }))
      assert.deepStrictEqual(order, ["b", "a"])
    }))

  it.effect("takes equal backends in turn", () =>
    Effect.gen(function* () {
      const order = yield* ranked(viewOf("a", { lastLeaseAt: 5 }), viewOf("b", { lastLeaseAt: 3 }), viewOf("c"))
      assert.deepStrictEqual(order, ["c", "b", "a"])
    }))

  it.effect("drops unhealthy, draining and isolated backends, and names the filter", () =>
    Effect.gen(function* () {
      const placement = yield* Placement
      const fleet = fleetOf([
        viewOf("a", { health: "unhealthy" }),
        viewOf("b", { member: "draining" }),
        viewOf("c", { member: "isolated" }),
      ])
      assert.strictEqual(placement.rank(demandFor(model), fleet).size, 0)
      assert.deepStrictEqual(
        placement.explain(demandFor(model), fleet).map((one) => one.droppedBy),
        ["healthy", "healthy", "healthy"],
      )
    }).pipe(Effect.provide(ProfilePlacement.layer(StandardProfile.make()))))

  it.effect("tries a backend that has not been probed yet", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* ranked(viewOf("a", { health: "unknown" })), ["a"])
    }))
})

describe("ProfilePlacement", () => {
  const scorer = (name: string, score: Scorer["score"]): Scorer => ({ kind: "scorer", name, score })
  const profile = (options: Partial<Profile>): Profile => ({ ...StandardProfile.make(), ...options })
  const model = modelOn("m:latest", "a", "b")

  it.effect("a scorer that returns NaN or a number outside [0, 1] cannot outweigh the others", () =>
    Effect.gen(function* () {
      const placement = yield* Placement
      const [first] = placement.rank(demandFor(model), fleetOf(["a", "b"]))
      assert.strictEqual(first!.view.backend.id, "b")
      assert.strictEqual(first!.score, 1)
    }).pipe(Effect.provide(ProfilePlacement.layer(profile({
      scorers: [
        { scorer: scorer("wild", (view) => view.backend.id === "a" ? NaN : 1e9), weight: 1 },
      ],
    })))))

  it.effect("random pickers pick the same under the same seed", () => {
    const picker: Profile["picker"] = {
      kind: "picker",
      name: "random",
      pick: (candidates, _, random) => Math.floor(random() * candidates.length),
    }
    const run = Effect.map(
      Placement,
      (placement) =>
        Array.from(
          { length: 20 },
          () => ProfilePlacement.order(placement.rank(demandFor(model), fleetOf(["a", "b"]))).join(),
        ),
    ).pipe(
      Effect.provide(ProfilePlacement.layer(profile({ picker }))),
      Random.withSeed("s"),
    )
    return Effect.gen(function* () {
      const first = yield* run
      assert.deepStrictEqual(yield* run, first)
      assert.strictEqual(new Set(first).size, 2)
    })
  })

  it.effect("a picker that returns an impossible index gets the first candidate", () =>
    Effect.gen(function* () {
      const placement = yield* Placement
      const order = ProfilePlacement.order(placement.rank(demandFor(model), fleetOf(["a", "b"])))
      assert.deepStrictEqual(order, ["a", "b"])
    }).pipe(Effect.provide(ProfilePlacement.layer(profile({
      picker: { kind: "picker", name: "wild", pick: () => 99 },
    })))))
})
