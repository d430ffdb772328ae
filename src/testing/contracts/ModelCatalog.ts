/**
 * What every `ModelCatalog` must do.
 *
 * @since 0.1.0
 */
import { Effect, type Layer } from "effect"
import { isEmbedder, ModelCatalog } from "../../services/ModelCatalog.ts"
import * as assert from "../assert.ts"
import { type Check, check } from "../checks.ts"

/**
 * `layer` has the backends `a` and `b`; after `ready`, both own `llama3.1:8b`, only `a` owns the embedder `embed:latest`, and `b` has the stub `big:cloud`.
 * `drop` takes `embed:latest` away.
 *
 * @category contracts
 * @since 0.1.0
 */
export const contract = <R, E>(layer: Layer.Layer<ModelCatalog | R, E>, driver: {
  readonly ready: Effect.Effect<void, never, ModelCatalog | R>
  readonly drop: Effect.Effect<void, never, ModelCatalog | R>
}): ReadonlyArray<Check> => {
  return [
    check("finds one model under all its spellings", () =>
      Effect.gen(function* () {
        const catalog = yield* ModelCatalog
        yield* driver.ready
        const model = catalog.peek("llama3.1:8b")
        assert.isDefined(model)
        for (
          const spelling of [
            "LLAMA3.1:8b",
            "library/llama3.1:8b",
            "registry.ollama.ai/library/llama3.1:8B",
            " llama3.1:8b ",
          ]
        ) {
          assert.strictEqual(catalog.peek(spelling), model)
          assert.strictEqual(yield* catalog.find(spelling), model)
        }
        assert.strictEqual(model?.key, "llama3.1:8b")
      }).pipe(Effect.provide(layer))),

    check("knows owners, embedders and remote models", () =>
      Effect.gen(function* () {
        const catalog = yield* ModelCatalog
        yield* driver.ready
        assert.deepStrictEqual(catalog.models().map(({ key }) => key), ["big:cloud", "embed:latest", "llama3.1:8b"])
        const [big, embed, llama] = catalog.models()
        assert.deepStrictEqual([...llama!.owners.keys()].toSorted(), ["a", "b"])
        assert.deepStrictEqual([...embed!.owners.keys()], ["a"])
        assert.isAbove(llama!.owners.get("a")!.size, 0)
        assert.deepStrictEqual([big!, embed!, llama!].map(isEmbedder), [false, true, false])
        assert.deepStrictEqual([big!, embed!, llama!].map(({ remote }) => remote), [true, false, false])
      }).pipe(Effect.provide(layer))),

    check("tells a missing model", () =>
      Effect.gen(function* () {
        const catalog = yield* ModelCatalog
        yield* driver.ready
        assert.isUndefined(catalog.peek("nothing"))
        const error = yield* Effect.flip(catalog.find("nothing"))
        assert.strictEqual(error.reason._tag, "ModelMissing")
      }).pipe(Effect.provide(layer))),

    check("forgets one owner, and the others stay", () =>
      Effect.gen(function* () {
        const catalog = yield* ModelCatalog
        yield* driver.ready
        const version = catalog.version()
        catalog.forget("a", catalog.peek("llama3.1:8b")!)
        assert.deepStrictEqual([...catalog.peek("llama3.1:8b")!.owners.keys()], ["b"])
        assert.isAbove(catalog.version(), version)
        assert.deepStrictEqual([...catalog.peek("embed")!.owners.keys()], ["a"])
      }).pipe(Effect.provide(layer))),

    check(
      "has a version that rises when owners change, and models that stay the same objects while they do not",
      () =>
        Effect.gen(function* () {
          const catalog = yield* ModelCatalog
          yield* driver.ready
          const [version, models, llama] = [catalog.version(), catalog.models(), catalog.peek("llama3.1:8b")]
          yield* catalog.refresh
          assert.strictEqual(catalog.version(), version)
          assert.strictEqual(catalog.models(), models)
          assert.strictEqual(catalog.peek("llama3.1:8b"), llama)
          yield* driver.drop
          assert.isAbove(catalog.version(), version)
          assert.isUndefined(catalog.peek("embed"))
        }).pipe(Effect.provide(layer)),
    ),
  ]
}
