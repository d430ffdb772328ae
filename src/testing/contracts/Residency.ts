/**
 * What every `Residency` must do.
 *
 * @since 0.1.0
 */
import { Effect, Fiber, type Layer } from "effect"
import { backend } from "../../services/Fleet.ts"
import { type Model, ModelCatalog } from "../../services/ModelCatalog.ts"
import { type LoadEnd, Residency } from "../../services/Residency.ts"
import * as assert from "../assert.ts"
import { type Check, check } from "../checks.ts"
import { tracked } from "../outstanding.ts"

const a = backend({ url: "http://a", id: "a" })

/** Lets the load of a model on `a` end; with a reason it fails. @category models @since 0.1.0 */
export interface Driver<R> {
  readonly end: (model: string, failure?: string) => Effect.Effect<void, never, R>
}

type Body = <R>(driver: Driver<R>) => Effect.Effect<void, unknown, Residency | ModelCatalog | R>

const models = Effect.gen(function* () {
  const catalog = yield* ModelCatalog
  return { m: yield* catalog.find("m"), n: yield* catalog.find("n"), r: yield* catalog.find("r:cloud") }
})

const load = (model: Model) =>
  Effect.flatMap(Residency, (residency) => tracked(`load of ${model.key} on ${a.id}`, residency.load(a, model)))

const ended = <R>({ end }: Driver<R>, model: string, failure?: string) =>
  tracked(`driver.end of the load of ${model}`, end(model, failure))

const loadsOnce: Body = (driver) =>
  Effect.gen(function* () {
    const residency = yield* Residency
    const { m } = yield* models
    const ends: Array<LoadEnd | undefined> = []
    const listed = () => residency.list("a").map(({ model, state }) => [model, state])
    const stop = residency.onChange((end) => ends.push(end))
    assert.strictEqual(residency.state("a", m), "absent")
    assert.deepStrictEqual(residency.list("a"), [])
    residency.request(a, m)
    residency.request(a, m)
    assert.strictEqual(residency.state("a", m), "loading")
    assert.strictEqual(residency.state("b", m), "absent")
    assert.deepStrictEqual(listed(), [["m:latest", "loading"]])
    assert.deepStrictEqual(ends, [undefined])
    yield* ended(driver, "m:latest")
    assert.strictEqual(residency.state("a", m), "resident")
    assert.deepStrictEqual(listed(), [["m:latest", "resident"]])
    assert.deepStrictEqual(
      ends.filter((end) => end !== undefined).map(({ backend, error, model }) => [backend, model, error]),
      [["a", "m:latest", undefined]],
    )
    stop()
    const before = ends.length
    residency.forget("a", m)
    assert.lengthOf(ends, before)
  })

const waitsForLoad: Body = (driver) =>
  Effect.gen(function* () {
    const residency = yield* Residency
    const { m } = yield* models
    const [first, second] = [
      yield* Effect.forkChild(load(m), { startImmediately: true }),
      yield* Effect.forkChild(load(m), { startImmediately: true }),
    ]
    yield* Effect.yieldNow
    assert.strictEqual(residency.state("a", m), "loading")
    yield* Fiber.interrupt(first)
    assert.strictEqual(residency.state("a", m), "loading")
    yield* ended(driver, "m:latest")
    yield* Fiber.join(second)
    assert.strictEqual(residency.state("a", m), "resident")
    yield* load(m)
  })

const remembersFailure: Body = (driver) =>
  Effect.gen(function* () {
    const residency = yield* Residency
    const { m, n } = yield* models
    const ends: Array<LoadEnd> = []
    residency.onChange((end) => {
      if (end === undefined) return
      ends.push(end)
      assert.isDefined(residency.failure("a", m), "in place when listeners are told")
    })
    const waiting = yield* Effect.forkChild(Effect.flip(load(m)), { startImmediately: true })
    yield* Effect.yieldNow
    yield* ended(driver, "m:latest", "out of memory")
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
    assert.strictEqual(yield* Effect.flip(load(m)), error)
  })

const believesRequests = Effect.gen(function* () {
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
})

const loadsNoRemote = Effect.gen(function* () {
  const residency = yield* Residency
  const { r } = yield* models
  residency.request(a, r)
  yield* load(r)
  assert.strictEqual(residency.state("a", r), "absent")
})

/**
 * `layer` has the backends `a` and `b`. Both have `m:latest` and `n:latest`, and the remote model `r:cloud`. Nothing
 * is in memory.
 *
 * @category contracts
 * @since 0.1.0
 */
export const contract = <R, E>(
  layer: Layer.Layer<Residency | ModelCatalog | R, E>,
  driver: Driver<R>,
): ReadonlyArray<Check> => {
  const holds = (name: string, body: Effect.Effect<void, unknown, Residency | ModelCatalog | R>) =>
    check(name, () => Effect.provide(body, layer))
  return [
    holds("loads what is asked for once, and says so at each step", loadsOnce(driver)),
    holds("waits for a load; interrupting the wait does not stop it", waitsForLoad(driver)),
    holds("remembers a failed load, and does not try again at once", remembersFailure(driver)),
    holds("believes what requests find out", believesRequests),
    holds("never loads a remote model", loadsNoRemote),
  ]
}
