/**
 * What every `ModelFootprints` must do.
 *
 * @since 0.1.0
 */
import { Effect, type Layer } from "effect"
import { backend } from "../../services/Fleet.ts"
import { ModelFootprints, shape } from "../../services/Footprint.ts"
import { ModelCatalog } from "../../services/ModelCatalog.ts"
import * as assert from "../assert.ts"
import { type Check, check } from "../checks.ts"
import { tracked } from "../outstanding.ts"

const a = backend({ url: "http://a", id: "a" })
const b = backend({ url: "http://b", id: "b" })
const run = shape({ context: 4096 })

/**
 * `layer` has the backends `a` and `b`. Both have `known:latest`, whose footprint is known once it is prepared,
 * `unknown:latest`, whose footprint is not, and the remote model `r:cloud`.
 *
 * @category contracts
 * @since 0.1.0
 */
export const contract = (layer: Layer.Layer<ModelFootprints | ModelCatalog, unknown>): ReadonlyArray<Check> => {
  const setup = Effect.gen(function* () {
    const footprints = yield* ModelFootprints
    const catalog = yield* ModelCatalog
    const [known, unknown, remote] = [
      yield* catalog.find("known"),
      yield* catalog.find("unknown"),
      yield* catalog.find("r:cloud"),
    ]
    for (const [model, on] of [[known, a], [unknown, a], [remote, a], [known, b]] as const) {
      yield* tracked(`prepare of ${model.key} on ${on.id}`, footprints.prepare(model, on))
    }
    return { footprints, known, unknown, remote }
  })

  return [
    check("knows what is known, and does not make up the rest", () =>
      Effect.gen(function* () {
        const { footprints, known, remote, unknown } = yield* setup
        const made = footprints.of(known, a, run)
        assert.ok(made !== undefined, "it has a footprint")
        assert.isAbove(made.total, 0)
        assert.strictEqual(made.reserve, made.total + made.margin)
        assert.strictEqual(made.source, "estimated")
        assert.isUndefined(footprints.of(unknown, a, run))
        assert.strictEqual(footprints.of(remote, a, run)?.reserve, 0, "takes no memory here")
      }).pipe(Effect.provide(layer))),

    check(
      "an observation above what was set aside raises it at once, there and nowhere else",
      () =>
        Effect.gen(function* () {
          const { footprints, known } = yield* setup
          const before = footprints.of(known, a, run)!
          const elsewhere = [footprints.of(known, b, run), footprints.of(known, a, shape({ context: 8192 }))]
          const version = footprints.version()
          const size = before.reserve + 1e9
          const lesson = footprints.learn(known, a, run, { size, sizeVram: size })
          assert.deepStrictEqual(lesson.before, before)
          assert.isAtLeast(lesson.exceeded, 1e9)
          const after = footprints.of(known, a, run)
          assert.deepStrictEqual(lesson.after, after)
          assert.isAtLeast(after!.reserve, size)
          assert.strictEqual(after!.source, "learned")
          assert.isAbove(footprints.version(), version)
          assert.deepStrictEqual(
            [footprints.of(known, b, run), footprints.of(known, a, shape({ context: 8192 }))],
            elsewhere,
          )
        }).pipe(Effect.provide(layer)),
    ),

    check("learns what it could not estimate, and nothing from nonsense", () =>
      Effect.gen(function* () {
        const { footprints, remote, unknown } = yield* setup
        for (const size of [0, NaN]) {
          assert.deepStrictEqual(footprints.learn(unknown, a, run, { size, sizeVram: 0 }), {
            before: undefined,
            after: undefined,
            exceeded: 0,
          })
        }
        assert.strictEqual(footprints.learn(unknown, a, run, { size: 2e9, sizeVram: 2e9 }).exceeded, 0)
        assert.isAtLeast(footprints.of(unknown, a, run)!.reserve, 2e9)
        assert.strictEqual(footprints.learn(remote, a, run, { size: 2e9, sizeVram: 2e9 }).after?.reserve, 0)
      }).pipe(Effect.provide(layer))),
  ]
}
