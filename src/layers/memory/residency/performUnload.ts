/**
 * Performs unloads at a backend.
 *
 * @since 0.1.0
 */
import { Effect, Option } from "effect"
import { isEmbedder } from "../../../services/ModelCatalog.ts"
import type { Held, Holdings } from "./holdings.ts"
import type { LoadedModel } from "./loadedModel.ts"
import type { LoadLoop } from "./loadLoop.ts"
import type { Read } from "./reading.ts"

/** Milliseconds between two readings that look whether an unloaded model has gone. */
const goneMillis = 250
/** Number of these readings before the unload counts as failed. */
const goneLooks = 40

/** @category models @since 0.1.0 */
export interface PerformUnload {
  /**
   * Reports `UnloadDue`, but not before the current synchronous step is over: it may still take a pin on the model.
   */
  readonly drain: (held: Held, loaded: LoadedModel) => Effect.Effect<void>
  /** Asks the backend to unload a model and waits until it has gone. Reports `UnloadFailed` if it stays. */
  readonly unload: (held: Held, loaded: LoadedModel) => Effect.Effect<void>
}

/** @category constructors @since 0.1.0 */
export const makePerformUnload = (holdings: Holdings, read: Read, loop: LoadLoop): PerformUnload => {
  const { api, catalog, limits } = holdings

  const isThere = (held: Held, loaded: LoadedModel): boolean => held.models.loaded.get(loaded.key) === loaded

  const ask = Effect.fnUntraced(function* (held: Held, { key }: LoadedModel) {
    const model = catalog.peek(key)
    const asked = yield* api.unload(held.loads.backend, key, { embedder: model !== undefined && isEmbedder(model) })
      .pipe(Effect.timeoutOption(limits.timeout), Effect.option, Effect.map(Option.flatten))
    return Option.isSome(asked)
  }, Effect.catchDefect((defect) => Effect.as(Effect.logWarning("asking for an unload failed", defect), false)))

  const quietly = (held: Held): Effect.Effect<void> =>
    Effect.catchDefect(read(held), (defect) => Effect.logWarning("reading a backend after an unload failed", defect))

  return {
    drain: Effect.fnUntraced(function* (held, loaded) {
      yield* Effect.yieldNow
      if (isThere(held, loaded)) loop.happened(held, { _tag: "UnloadDue", model: loaded.key })
    }),
    unload: Effect.fnUntraced(function* (held, loaded) {
      const asked = yield* ask(held, loaded)
      for (let look = 0; asked && look < goneLooks; look++) {
        yield* quietly(held)
        if (!isThere(held, loaded)) return
        yield* Effect.sleep(goneMillis)
      }
      // Not at once: the load that wants the memory would ask for the same unload again, which would fail again.
      if (!asked) yield* Effect.sleep(goneMillis)
      // A client that does not use the router is using the model.
      if (isThere(held, loaded)) loop.happened(held, { _tag: "UnloadFailed", model: loaded.key })
    }),
  }
}
