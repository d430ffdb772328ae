/**
 * What every `Residency` must do.
 *
 * @since 0.1.0
 */
import { Effect, Fiber, type Layer } from "effect"
import { backend } from "../../services/Fleet.ts"
import { ModelCatalog } from "../../services/ModelCatalog.ts"
import { type LoadEnd, Residency } from "../../services/Residency.ts"
import * as assert from "../assert.ts"
import { type Check, check } from "../checks.ts"

const a = backend({ url: "http://a", id: "a" })

/**
 * `layer` has the backends `a` and `b`, which both have `m:latest` and `n:latest`, and `r:cloud`, which is remote; nothing is in memory. `driver.end` lets
 * the load of a model on `a` end, badly if it is given a reason.
 *
 * @category contracts
 * @since 0.1.0
 */
export const contract = <R, E>(layer: Layer.Layer<Residency | ModelCatalog | R, E>, driver: {
  readonly end: (model: string, failure?: string) => Effect.Effect<void, never, R>
}): ReadonlyArray<Check> => {
  const models = Effect.gen(function* () {
    const { find } = yield* ModelCatalog
    return { m: yield* find("m"), n: yield* find("n"), r: yield* find("r:cloud") }
  })

  return [
    check("loads what is asked for once, and says so at each step", () =>
      Effect.gen(function* () {
        const residency = yield* Residency
        const { m } = yield* models
        const ends: Array<LoadEnd | undefined> = []
        const stop = residency.onChange((end) => ends.push(end))
        assert.strictEqual(residency.state("a", m), "absent")
        assert.deepStrictEqual(residency.list("a"), [])
        residency.request(a, m)
        residency.request(a, m)
        assert.strictEqual(residency.state("a", m), "loading")
        assert.strictEqual(residency.state("b", m), "absent")
        assert.deepStrictEqual(residency.list("a").map(({ model, state }) => [model, state]), [["m:latest", "loading"]])
        assert.deepStrictEqual(ends, [undefined])
        yield* driver.end("m:latest")
        assert.strictEqual(residency.state("a", m), "resident")
        assert.deepStrictEqual(residency.list("a").map(({ model, state }) => [model, state]), [[
          "m:latest",
          "resident",
        ]])
        const ended = ends.filter((end) => end !== undefined)
        assert.deepStrictEqual(ended.map(({ backend, error, model }) => [backend, model, error]), [
          ["a", "m:latest", undefined],
        ])
        stop()
        const before = ends.length
        residency.forget("a", m)
        assert.lengthOf(ends, before)
      }).pipe(Effect.provide(layer))),

    check("waits for a load; interrupting the wait does not stop it", () =>
      Effect.gen(function* () {
        const residency = yield* Residency
        const { m } = yield* models
        const [first, second] = [
          yield* Effect.forkChild(residency.load(a, m), { startImmediately: true }),
          yield* Effect.forkChild(residency.load(a, m), { startImmediately: true }),
        ]
        yield* Effect.yieldNow
        assert.strictEqual(residency.state("a", m), "loading")
        yield* Fiber.interrupt(first)
        assert.strictEqual(residency.state("a", m), "loading")
        yield* driver.end("m:latest")
        yield* Fiber.join(second)
        assert.strictEqual(residency.state("a", m), "resident")
        yield* residency.load(a, m)
      }).pipe(Effect.provide(layer))),

    check("remembers a failed load, and does not try again at once", () =>
      Effect.gen(function* () {
        const residency = yield* Residency
        const { m, n } = yield* models
        const ends: Array<LoadEnd> = []
        residency.onChange((end) => {
          if (end === undefined) return
          ends.push(end)
          assert.isDefined(residency.failure("a", m), "in place when listeners are told")
        })
        const waiting = yield* Effect.forkChild(Effect.flip(residency.load(a, m)), { startImmediately: true })
        yield* Effect.yieldNow
        yield* driver.end("m:latest", "out of memory")
        const error = yield* Fiber.join(waiting)
        assert.strictEqual(error.description, "out of memory")
        assert.strictEqual(error.status, 500)
        assert.strictEqual(residency.state("a", m), "absent")
        assert.strictEqual(residency.failure("a", m), error)
        assert.isUndefined(residency.failure("a", n))
        assert.isUndefined(residency.failure("b", m))
        assert.strictEqual(ends[0]?.error, error)
        residency.request(a, m)
        assert.strictEqual(residency.state("a", m), "absent")
        assert.strictEqual(yield* Effect.flip(residency.load(a, m)), error)
      }).pipe(Effect.provide(layer))),

    check("believes what requests find out", () =>
      Effect.gen(function* () {
        const residency = yield* Residency
        const { m, n } = yield* models
        residency.touch("a", m)
        residency.touch("a", n)
        assert.strictEqual(residency.state("a", m), "resident")
        residency.forget("a", m)
        assert.strictEqual(residency.state("a", m), "absent")
        assert.strictEqual(residency.state("a", n), "resident")
        residency.forget("a")
        assert.strictEqual(residency.state("a", n), "absent")
        assert.isAbove(residency.loadMillis("a", m), 0)
      }).pipe(Effect.provide(layer))),

    check("never loads a remote model", () =>
      Effect.gen(function* () {
        const residency = yield* Residency
        const { r } = yield* models
        residency.request(a, r)
        yield* residency.load(a, r)
        assert.strictEqual(residency.state("a", r), "absent")
      }).pipe(Effect.provide(layer))),
  ]
}
