/**
 * What every `ModelCatalog` must do.
 *
 * @since 0.1.0
 */
import { Effect, type Layer } from "effect"
import { isEmbedder, ModelCatalog } from "../../services/ModelCatalog.ts"
import * as assert from "../assert.ts"
import { type Check, check } from "../checks.ts"
import { tracked } from "../outstanding.ts"

/** How a test makes the catalog know its models, and forget one. @category models @since 0.1.0 */
export interface Driver<R> {
  /**
   * After it both backends own `llama3.1:8b`, only `a` owns the embedder `embed:latest`, and `b` has the stub
   * `big:cloud`.
   */
  readonly ready: Effect.Effect<void, never, ModelCatalog | R>
  /** Takes `embed:latest` away. */
  readonly drop: Effect.Effect<void, never, ModelCatalog | R>
}

type Body = (catalog: ModelCatalog["Service"]) => Effect.Effect<void, unknown>

const find = (catalog: ModelCatalog["Service"], name: string) => tracked(`find ${name}`, catalog.find(name))

const oneUnderAllSpellings: Body = (catalog) =>
  Effect.gen(function* () {
    const model = catalog.peek("llama3.1:8b")
    assert.isDefined(model)
    const spellings = [
      "LLAMA3.1:8b",
      "library/llama3.1:8b",
      "registry.ollama.ai/library/llama3.1:8B",
      " llama3.1:8b ",
    ]
    for (const spelling of spellings) {
      assert.strictEqual(catalog.peek(spelling), model)
      assert.strictEqual(yield* find(catalog, spelling), model)
    }
    assert.strictEqual(model?.key, "llama3.1:8b")
  })

const knowsModels: Body = (catalog) =>
  Effect.sync(() => {
    assert.deepStrictEqual(catalog.models().map(({ key }) => key), ["big:cloud", "embed:latest", "llama3.1:8b"])
    const [big, embed, llama] = catalog.models()
    assert.deepStrictEqual([...llama!.owners.keys()].toSorted(), ["a", "b"])
    assert.deepStrictEqual([...embed!.owners.keys()], ["a"])
    assert.isAbove(llama!.owners.get("a")!.size, 0)
    assert.deepStrictEqual([big!, embed!, llama!].map(isEmbedder), [false, true, false])
    assert.deepStrictEqual([big!, embed!, llama!].map(({ remote }) => remote), [true, false, false])
  })

const tellsMissing: Body = (catalog) =>
  Effect.gen(function* () {
    assert.isUndefined(catalog.peek("nothing"))
    const error = yield* Effect.flip(find(catalog, "nothing"))
    assert.strictEqual(error.reason._tag, "ModelMissing")
  })

const forgetsOwner: Body = (catalog) =>
  Effect.sync(() => {
    const version = catalog.version()
    catalog.forget("a", catalog.peek("llama3.1:8b")!)
    assert.deepStrictEqual([...catalog.peek("llama3.1:8b")!.owners.keys()], ["b"])
    assert.isAbove(catalog.version(), version)
    assert.deepStrictEqual([...catalog.peek("embed")!.owners.keys()], ["a"])
  })

/** `layer` has the backends `a` and `b`. @category contracts @since 0.1.0 */
export const contract = <R, E>(
  layer: Layer.Layer<ModelCatalog | R, E>,
  driver: Driver<R>,
): ReadonlyArray<Check> => {
  const ready = Effect.gen(function* () {
    const catalog = yield* ModelCatalog
    yield* tracked("driver.ready", driver.ready)
    return catalog
  })
  const holds = (name: string, body: Body) => check(name, () => Effect.provide(Effect.flatMap(ready, body), layer))
  return [
    holds("finds one model under all its spellings", oneUnderAllSpellings),
    holds("knows owners, embedders and remote models", knowsModels),
    holds("tells a missing model", tellsMissing),
    holds("forgets one owner, and the others stay", forgetsOwner),
    check(
      "has a version that rises when owners change, and models that stay the same objects while they do not",
      () =>
        Effect.gen(function* () {
          const catalog = yield* ready
          const [version, models, llama] = [catalog.version(), catalog.models(), catalog.peek("llama3.1:8b")]
          yield* tracked("refresh", catalog.refresh)
          assert.strictEqual(catalog.version(), version)
          assert.strictEqual(catalog.models(), models)
          assert.strictEqual(catalog.peek("llama3.1:8b"), llama)
          yield* tracked("driver.drop", driver.drop)
          assert.isAbove(catalog.version(), version)
          assert.isUndefined(catalog.peek("embed"))
        }).pipe(Effect.provide(layer)),
    ),
  ]
}
