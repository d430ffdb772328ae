/**
 * Residency decided by a test.
 *
 * @since 0.1.0
 */
import { Clock, Context, Deferred, Effect, Layer } from "effect"
import type { Model } from "../../services/ModelCatalog.ts"
import {
  type LoadEnd,
  LoadError,
  Residency,
  type ResidencyState,
  type ResidentModel,
} from "../../services/Residency.ts"
import * as Listeners from "../../support/listeners.ts"

/**
 * Test handle. Everything is synchronous.
 *
 * @category services
 * @since 0.1.0
 */
export class MockLoads extends Context.Service<MockLoads, {
  /** Puts a model in a state on a backend. */
  readonly set: (backend: string, model: string, state: ResidencyState) => void
  /** Every load asked for, those that joined another one included. */
  readonly requests: () => ReadonlyArray<{ readonly backend: string; readonly model: string }>
  /** Loads that have not ended. */
  readonly running: () => ReadonlyArray<{ readonly backend: string; readonly model: string }>
  /** Ends a load: well, or badly with what Ollama said. Does nothing where none is running. */
  readonly finish: (backend: string, model: string, failure?: string) => void
  readonly touches: () => ReadonlyArray<{ readonly backend: string; readonly model: string }>
  readonly unloads: () => ReadonlyArray<{ readonly backend: string; readonly model: string }>
}>()("llamero/testing/mocks/MockResidency/MockLoads") {}

interface Pair {
  readonly backend: string
  readonly model: string
}

interface Running extends Pair {
  readonly since: number
  readonly end: Deferred.Deferred<void, LoadError>
}

interface Made {
  readonly loadMillis: number
  readonly resident: ReadonlyArray<readonly [string, string]>
  readonly context: number | undefined
}

const make = (options: Made) =>
  Effect.map(Clock.Clock, (clock) => {
    const states = new Map<string, Pair & { readonly state: Exclude<ResidencyState, "absent"> }>()
    const running = new Map<string, Running>()
    const failures = new Map<string, LoadError>()
    const requests: Array<Pair> = []
    const touches: Array<Pair> = []
    const unloads: Array<Pair> = []
    const listeners = Listeners.make<LoadEnd | undefined>()
    const idOf = (backend: string, model: string): string => `${backend} ${model}`

    const put = (backend: string, model: string, state: ResidencyState): boolean => {
      const id = idOf(backend, model)
      if ((states.get(id)?.state ?? "absent") === state) return false
      if (state === "absent") states.delete(id)
      else states.set(id, { backend, model, state })
      return true
    }
    const set = (backend: string, model: string, state: ResidencyState): void => {
      if (put(backend, model, state)) listeners.notify(undefined)
    }
    for (const [backend, model] of options.resident) put(backend, model, "resident")

    const request = (backend: string, model: Model): Running | undefined => {
      const id = idOf(backend, model.key)
      const state = states.get(id)?.state
      if (model.remote || state === "resident" || failures.has(id)) return running.get(id)
      requests.push({ backend, model: model.key })
      const joined = running.get(id)
      if (joined !== undefined) return joined
      const load: Running = {
        backend,
        model: model.key,
        since: clock.currentTimeMillisUnsafe(),
        end: Deferred.makeUnsafe(),
      }
      running.set(id, load)
      set(backend, model.key, "loading")
      return load
    }

    const finish = (backend: string, model: string, failure?: string): void => {
      const id = idOf(backend, model)
      const load = running.get(id)
      if (load === undefined) return
      running.delete(id)
      const at = clock.currentTimeMillisUnsafe()
      const error = failure === undefined
        ? undefined
        : new LoadError({ backend, model, description: failure, status: 500, at })
      if (error !== undefined) failures.set(id, error)
      put(backend, model, error === undefined ? "resident" : "absent")
      Deferred.doneUnsafe(load.end, error === undefined ? Effect.void : Effect.fail(error))
      listeners.notify({ backend, model, millis: at - load.since, error })
    }

    const list = (backend: string): ReadonlyArray<ResidentModel> =>
      Array.from(states.values()).filter((pair) => pair.backend === backend).map(({ model, state }) => ({
        backend,
        model,
        state,
        size: undefined,
        sizeVram: undefined,
        contextLength: undefined,
        expiresAt: undefined,
        source: "observed",
      }))

    const residency = Residency.of({
      state: (backend, model) => states.get(idOf(backend, model.key))?.state ?? "absent",
      list,
      request: (backend, model) => void request(backend.id, model),
      load: (backend, model) =>
        Effect.suspend((): Effect.Effect<void, LoadError> => {
          const load = request(backend.id, model)
          if (load !== undefined) return Deferred.await(load.end)
          const failure = failures.get(idOf(backend.id, model.key))
          return failure === undefined ? Effect.void : Effect.fail(failure)
        }),
      unload: (backend, model) => {
        if (states.get(idOf(backend.id, model.key))?.state !== "resident") return false
        unloads.push({ backend: backend.id, model: model.key })
        set(backend.id, model.key, "absent")
        return true
      },
      hold: (backend, model) => {
        touches.push({ backend, model: model.key })
        if (!running.has(idOf(backend, model.key))) set(backend, model.key, "resident")
        return { release: () => {} }
      },
      pin: () => ({ release: () => {} }),
      serves: (_backend, _model, numCtx) =>
        numCtx === undefined || options.context === undefined ? true : options.context >= numCtx,
      tier: () => undefined,
      context: () => options.context,
      keepAlive: () => undefined,
      usedAt: () => undefined,
      memory: () => undefined,
      spills: () => [],
      onSpill: () => () => {},
      failure: (backend, model) => failures.get(idOf(backend, model.key)),
      loadMillis: () => options.loadMillis,
      touch: (backend, model) => {
        touches.push({ backend, model: model.key })
        if (!running.has(idOf(backend, model.key))) set(backend, model.key, "resident")
      },
      want: () => {},
      forget: (backend, model) => {
        const gone = model === undefined ? list(backend).map((each) => each.model) : [model.key]
        for (const key of gone) if (!running.has(idOf(backend, key))) set(backend, key, "absent")
      },
      refresh: Effect.void,
      onChange: listeners.add,
    })
    const handle = MockLoads.of({
      set: (backend, model, state) => {
        failures.delete(idOf(backend, model))
        set(backend, model, state)
      },
      requests: () => requests.slice(),
      running: () => Array.from(running.values(), ({ backend, model }) => ({ backend, model })),
      finish,
      touches: () => touches.slice(),
      unloads: () => unloads.slice(),
    })
    return Context.make(Residency, residency).pipe(Context.add(MockLoads, handle))
  })

/**
 * Residency that only the handle, `request`, `touch` and `forget` change; a load ends when the handle says so. A failure is remembered until `set`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: {
  /** What every load is expected to take. Defaults to `1000`. */
  readonly loadMillis?: number | undefined
  /** Pairs of backend id and canonical key that are resident at first. */
  readonly resident?: ReadonlyArray<readonly [backend: string, model: string]> | undefined
  /** The automatic context of every model. Defaults to not known. */
  readonly context?: number | undefined
}): Layer.Layer<Residency | MockLoads> =>
  Layer.effectContext(make({
    loadMillis: options?.loadMillis ?? 1000,
    resident: options?.resident ?? [],
    context: options?.context,
  }))
