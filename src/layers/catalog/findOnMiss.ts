/**
 * Finds a model that the catalog does not know by reading all backends again, once for all requests that ask meanwhile.
 *
 * @since 0.1.0
 */
import { Clock, Effect, Fiber, FiberMap } from "effect"
import type { BackendHealth } from "../../services/BackendHealth.ts"
import type { Backend, Fleet } from "../../services/Fleet.ts"
import { CatalogUnavailable, type Model, ModelCatalogError, ModelMissing } from "../../services/ModelCatalog.ts"

/** @category models @since 0.1.0 */
export interface Options {
  readonly fleet: Fleet["Service"]
  readonly health: BackendHealth["Service"]
  readonly peek: (name: string) => Model | undefined
  readonly readAll: (backends: ReadonlyArray<Backend>) => Effect.Effect<void>
  /** Whether the last reading of a backend succeeded. */
  readonly answering: (backend: string) => boolean
  /** No reading begins within so many milliseconds after the end of the last one. */
  readonly missMillis: number
}

/**
 * `ModelCatalog.find`. The reading runs in a fiber of the layer, so a client that leaves does not end it for the
 * others.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* ({ answering, fleet, health, missMillis, peek, readAll }: Options) {
  const clock = yield* Clock.Clock
  const run = yield* Effect.flatMap(FiberMap.make<"reading">(), (map) => FiberMap.runtime(map)())
  let endedAt = -Infinity

  const reading = Effect.suspend(() => {
    // A backend known to be dead would make the requests wait for its time limit.
    const backends = fleet.members().map(({ backend }) => backend)
    return readAll(backends.filter(({ id }) => health.status(id).state !== "unhealthy"))
  }).pipe(Effect.ensuring(Effect.sync(() => endedAt = clock.currentTimeMillisUnsafe())))

  const readAgain = Effect.suspend(() =>
    clock.currentTimeMillisUnsafe() - endedAt < missMillis
      ? Effect.void
      : Fiber.await(run("reading", reading, { onlyIfMissing: true }))
  )

  return Effect.fn("ModelCatalog.find")(function* (name: string) {
    const found = peek(name)
    if (found !== undefined) return found
    yield* readAgain
    const now = peek(name)
    if (now !== undefined) return now
    const anyAnswers = fleet.members().some(({ backend: { id } }) =>
      answering(id) && health.status(id).state !== "unhealthy"
    )
    return yield* new ModelCatalogError({
      reason: anyAnswers ? new ModelMissing({ name }) : new CatalogUnavailable({ description: "no backend answers" }),
    })
  })
})
