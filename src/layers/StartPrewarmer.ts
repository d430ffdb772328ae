/**
 * Loads named models when the router starts.
 *
 * @since 0.1.0
 */
import { Duration, Effect, Layer, Schedule } from "effect"
import { BackendHealth } from "../services/BackendHealth.ts"
import { type Backend, Fleet } from "../services/Fleet.ts"
import { type Model, ModelCatalog } from "../services/ModelCatalog.ts"
import * as ModelName from "../services/ModelName.ts"
import { Prewarmer, type PrewarmStatus } from "../services/Prewarmer.ts"
import { Residency } from "../services/Residency.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Names as a client would write them. */
  readonly models: ReadonlyArray<string>
  /** Between the first two tries; doubles with each. Defaults to 1 second. */
  readonly retry?: Duration.Input | undefined
  /** Between two tries at most. Defaults to 30 seconds. */
  readonly retryMax?: Duration.Input | undefined
}

const make = Effect.fnUntraced(function* (options: Options) {
  const fleet = yield* Fleet
  const health = yield* BackendHealth
  const catalog = yield* ModelCatalog
  const residency = yield* Residency
  const names = Array.from(new Set(options.models.map(ModelName.canonical)))
  const statuses = new Map(names.map((model): readonly [string, PrewarmStatus] => [
    model,
    { plan: "start", model, backend: undefined, state: "pending", reason: "" },
  ]))
  const note = (model: string, state: PrewarmStatus["state"], backend?: Backend, reason = ""): void =>
    void statuses.set(model, { plan: "start", model, backend: backend?.id, state, reason })

  const owners = (model: Model): ReadonlyArray<Backend> =>
    fleet.members().flatMap(({ backend, state }) =>
      state === "active" && model.owners.has(backend.id) && health.status(backend.id).state !== "unhealthy" &&
        residency.failure(backend.id, model) === undefined
        ? [backend]
        : []
    )

  const warm = Effect.fnUntraced(function* (name: string) {
    const model = yield* catalog.find(name)
    if (model.remote) return note(name, "resident")
    const candidates = owners(model)
    const holder = candidates.find(({ id }) => residency.state(id, model) === "resident")
    if (holder !== undefined) return note(name, "resident", holder)
    const [best] = candidates.toSorted((a, b) => residency.list(a.id).length - residency.list(b.id).length)
    if (best === undefined) return yield* Effect.fail({ message: "no backend that has it is there" })
    note(name, "loading", best)
    yield* residency.load(best, model)
    note(name, "resident", best)
  })

  yield* Effect.forEach(names, (name) =>
    warm(name).pipe(
      Effect.tapError((error) => Effect.sync(() => note(name, "failed", undefined, reasonOf(error)))),
      Effect.retry(Schedule.min([
        Schedule.exponential(options.retry ?? "1 second"),
        Schedule.spaced(options.retryMax ?? "30 seconds"),
      ])),
      Effect.forkScoped,
    ), { discard: true })

  return Prewarmer.of({
    status: () => Array.from(statuses.values()),
    ready: () => Array.from(statuses.values()).every(({ state }) => state === "resident"),
  })
})

const reasonOf = (error: { readonly message: string; readonly reason?: { readonly _tag: string } }): string =>
  error.reason?._tag === "ModelMissing" ? "no backend has it" : error.message || "no backend answers"

/**
 * Loads each model once, on the owner that has fewest models in memory, and tries again with growing pauses for as long as it takes.
 *
 * **Details**
 *
 * Building the layer does not wait. `ready` turns true when every model has been resident; what happens to them later is for residency to say.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options,
): Layer.Layer<Prewarmer, never, Fleet | BackendHealth | ModelCatalog | Residency> =>
  Layer.effect(Prewarmer, make(options))
