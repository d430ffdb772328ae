/** AliasGuard and ContextGuard, each on its own: which backends count, and which context. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as AliasGuard from "../../../src/plugins/guards/AliasGuard.ts"
import * as ContextGuard from "../../../src/plugins/guards/ContextGuard.ts"
import type { BackendView } from "../../../src/services/FleetView.ts"
import { Leases } from "../../../src/services/Leases.ts"
import { type Model, ModelCatalog } from "../../../src/services/ModelCatalog.ts"
import * as ModelName from "../../../src/services/ModelName.ts"
import type { Guard } from "../../../src/services/Plugin.ts"
import { Residency } from "../../../src/services/Residency.ts"
import { TokenEstimator } from "../../../src/services/TokenEstimator.ts"
import { modelOn } from "../../support/demands.ts"
import { request } from "../../support/routers.ts"
import { fleetOf, viewOf } from "../../support/views.ts"
import { partly } from "../../support/web.ts"

const catalogOf = (...models: ReadonlyArray<Model>) =>
  partly(ModelCatalog, { peek: (name) => models.find(({ key }) => key === ModelName.canonical(name)) })

/** The model after a rewrite, `pass`, or the reason of a refusal. */
const verdictOf = ({ check }: Guard, path: string, body: object) => {
  const verdict = check(request(path, { prompt: "x", ...body }))
  assert(!Effect.isEffect(verdict))
  return verdict._tag === "Refusal" ? verdict.message : verdict.rewrite ?? "pass"
}

describe("AliasGuard", () => {
  const catalog = catalogOf(modelOn("first:latest", "a"), modelOn("second:latest", "b"))
  const goesTo = (a: Partial<BackendView>) =>
    Effect.map(
      AliasGuard.make({ any: ["first", "second"] }),
      (guard) => verdictOf(guard, "/api/generate", { model: "any" }),
    ).pipe(
      Effect.provide([catalog, partly(Leases, { view: fleetOf([viewOf("a", a), "b"]) })]),
    )

  const cases: ReadonlyArray<readonly [string, Partial<BackendView>, string]> = [
    ["healthy", {}, "first"],
    ["not asked yet", { health: "unknown" }, "first"],
    ["unhealthy", { health: "unhealthy" }, "second"],
    ["draining", { member: "draining" }, "second"],
    ["with an open breaker", { breaker: () => "open" }, "second"],
    ["on trial", { breaker: () => "half-open" }, "first"],
    ["isolated", { member: "isolated" }, "second"],
  ]
  for (const [name, view, model] of cases) {
    it.effect(`the first one's backend is ${name}: ${model}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* goesTo(view), { model })
      }))
  }

  it("rejects names without a model", () => {
    for (const chain of [[], [""], "", ["a", ""]]) assert.throws(() => AliasGuard.make({ any: chain }), RangeError)
  })
})

describe("ContextGuard", () => {
  /** The context that each backend has loaded, and the tokens of the prompt by every count. */
  const judged = (
    contexts: Readonly<Record<string, number | undefined>>,
    prompt: number,
    body: object = {},
    options: { readonly trained?: number; readonly remote?: boolean } & ContextGuard.Options = {},
  ) => {
    const { remote = false, trained, ...rest } = options
    const model: Model = {
      ...modelOn("m:latest", ...Object.keys(contexts)),
      remote,
      ...(trained === undefined ? {} : { contextTrained: trained }),
    }
    return Effect.map(
      ContextGuard.make({ headroom: 0, ...rest }),
      (guard) => verdictOf(guard, "/api/generate", { model: "m", ...body }),
    ).pipe(
      Effect.provide([
        catalogOf(model, modelOn("big:latest", "z")),
        partly(Residency, { context: (id) => id === "z" ? 100_000 : contexts[id] }),
        Layer.succeed(TokenEstimator, { estimate: () => prompt, atLeast: () => prompt, learn: () => {} }),
      ]),
    )
  }
  const refused = /too long/

  it.effect("the largest context of an owner counts, wherever the owner is in the list", () =>
    Effect.gen(function* () {
      for (const contexts of [{ a: 100, b: 50 }, { a: 50, b: 100 }]) {
        assert.strictEqual(yield* judged(contexts, 100), "pass")
        assert.match(String(yield* judged(contexts, 101)), refused)
      }
    }))

  it.effect("while the context of one owner is not known, no prompt is refused", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* judged({ a: 100, b: undefined }, 1000), "pass")
      assert.strictEqual(yield* judged({ a: 100 }, 1000, {}, { remote: true }), "pass")
    }))

  it.effect("a larger num_ctx counts, up to the context that the model was trained with", () =>
    Effect.gen(function* () {
      const asked = { options: { num_ctx: 400 } }
      assert.strictEqual(yield* judged({ a: 100 }, 400, asked), "pass")
      assert.match(String(yield* judged({ a: 100 }, 401, asked)), refused)
      assert.match(String(yield* judged({ a: 100 }, 201, asked, { trained: 200 })), refused)
      assert.match(String(yield* judged({ a: 100 }, 101, { options: { num_ctx: 50 } })), refused)
    }))

  it.effect("a tier above the trained context is not used, and a sibling does not get the num_ctx of the other model", () =>
    Effect.gen(function* () {
      const tiers = { contextTiers: [200, 800], trained: 400 }
      assert.deepStrictEqual(yield* judged({ a: 100 }, 150, {}, tiers), { numCtx: 200 })
      assert.match(String(yield* judged({ a: 100 }, 300, {}, tiers)), refused)
      const siblings = { siblings: { m: ["big"] } }
      assert.deepStrictEqual(yield* judged({ a: 100 }, 300, {}, siblings), { model: "big" })
      assert.deepStrictEqual(yield* judged({ a: 100 }, 300, { options: { num_ctx: 200 } }, siblings), {
        model: "big",
        numCtx: null,
      })
    }))
})
