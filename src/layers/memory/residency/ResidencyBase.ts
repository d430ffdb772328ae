/**
 * A residency for servers whose memory llamero does not manage: the deployer says how a model is loaded and unloaded.
 *
 * **Example** (Servers that load by themselves, such as one that always serves the same models)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Residency, ResidencyBase } from "llamero"
 *
 * const nothing = () => Effect.void
 * const layer = Layer.effect(Residency.Residency, ResidencyBase.make({ load: nothing, unload: nothing }))
 * ```
 *
 * @since 0.1.0
 */
import { Clock, Deferred, Effect, FiberSet, type Scope } from "effect"
import type { Model } from "../../../services/ModelCatalog.ts"
import { type LoadEnd, type LoadError, Residency } from "../../../services/Residency.ts"
import * as Listeners from "../../../support/listeners.ts"
import { type Driver, JoinedLoads } from "./base/joinedLoads.ts"
import { type Held, idOf, LoadedModels } from "./base/loadedModels.ts"
import { UseRate } from "./useRate.ts"

export type { Driver, LoadFailure } from "./base/joinedLoads.ts"

/**
 * A residency over `load` and `unload`. It keeps what was loaded, joins loads of the same model, remembers failures,
 * and tells listeners. It reads nothing from the servers: what they unload by themselves is found out by `forget`.
 * Memory is not managed, and contexts are not known.
 *
 * **Details**
 *
 * - `request` and `load` do nothing for a remote model, and for a model that is in memory. `load` fails with a
 *   `LoadError` when the driver fails or dies, and for `retryMillis` after it.
 * - A model counts as in memory when its load has succeeded, or when a request has used it. `unload` takes it out at
 *   once, unless a request uses it, and then asks the driver.
 * - `pin` and `want` have no effect: no model is unloaded to make room, and `unload` does not look at pins.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (driver: Driver): Effect.Effect<Residency["Service"], never, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const fork = yield* FiberSet.makeRuntime()
    const memory = new LoadedModels(yield* Listeners.logged<LoadEnd | undefined>("residency"))
    const loads = new JoinedLoads(memory, driver, clock, fork)
    const assume = (backend: string, model: Model): Held => {
      const before = memory.state(backend, model.key)
      const held = memory.put(backend, model.key, before === "loading" ? "loading" : "resident")
      if (before === "absent") memory.listeners.notify(undefined)
      return held
    }
    return Residency.of({
      ...unmanaged,
      state: (backend, { key }) => memory.state(backend, key),
      list: (backend) => memory.list(backend),
      request: (backend, model, options = {}) => void loads.request(backend, model, options),
      load: (backend, model, options = {}) =>
        Effect.suspend((): Effect.Effect<void, LoadError> => {
          const load = loads.request(backend, model, options)
          if (load !== undefined) return Deferred.await(load)
          const failure = loads.failure(backend.id, model.key)
          return failure === undefined ? Effect.void : Effect.fail(failure)
        }),
      unload: (backend, model) => {
        const held = memory.held.get(idOf(backend.id, model.key))
        if (held === undefined || held.state !== "resident" || held.uses > 0) return false
        memory.forget(backend.id, model.key)
        fork(
          Effect.catchCause(
            Effect.suspend(() => driver.unload(backend, model)),
            (cause) => Effect.logWarning(`${model.key} was not unloaded`, cause),
          ),
        )
        return true
      },
      hold: (backend, model) => {
        const held = assume(backend, model)
        held.uses++
        let released = false
        return {
          release: () => {
            if (!released) held.uses--
            released = true
          },
        }
      },
      touch: (backend, model, client) => {
        const held = assume(backend, model)
        const now = clock.currentTimeMillisUnsafe()
        if (held.used === undefined) held.used = new UseRate(now, client)
        else held.used.add(now, client)
      },
      usedAt: (backend, { key }, but) => {
        const used = memory.held.get(idOf(backend, key))?.used
        return but === undefined ? used?.lastAt : used?.lastAtBut(but)
      },
      forget: (backend, model) => memory.forget(backend, model?.key),
      failure: (backend, { key }) => loads.failure(backend, key),
      loadMillis: driver.loadMillis ?? (() => 10_000),
      onChange: memory.listeners.add,
    })
  })

/** What a residency says that manages no memory and knows no contexts. */
const unmanaged = {
  pin: () => ({ release: () => {} }),
  pinned: () => false,
  serves: () => true,
  tier: () => undefined,
  context: () => undefined,
  keepAlive: () => undefined,
  memory: () => undefined,
  spills: () => [],
  want: () => {},
  refresh: Effect.void,
  onSpill: () => () => {},
} satisfies Partial<Residency["Service"]>
