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

const key = "llamero/testing/mocks/MockResidency/MockLoads"
const Base: Context.ServiceClass<MockLoads, typeof key, Service> = Context.Service<MockLoads, Service>()(key)

/**
 * Test handle. Everything is synchronous.
 *
 * @category services
 * @since 0.1.0
 */
export class MockLoads extends Base {}

/** The members of `MockLoads`. @category services @since 0.1.0 */
export interface Service {
  /** Puts a model in a state on a backend. */
  readonly set: (backend: string, model: string, state: ResidencyState) => void
  /** Every load that was asked for, also when it joined another one. */
  readonly requests: () => ReadonlyArray<{ readonly backend: string; readonly model: string }>
  /** Loads that have not ended. */
  readonly running: () => ReadonlyArray<{ readonly backend: string; readonly model: string }>
  /** Ends a load. With `failure`, the text of Ollama's error, it fails. Does nothing where no load runs. */
  readonly finish: (backend: string, model: string, failure?: string) => void
  readonly touches: () => ReadonlyArray<{ readonly backend: string; readonly model: string }>
  readonly unloads: () => ReadonlyArray<{ readonly backend: string; readonly model: string }>
}

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

/** States, loads and failures by backend and model, and what was asked. */
class Loads {
  readonly requests: Array<Pair> = []
  readonly touches: Array<Pair> = []
  readonly unloads: Array<Pair> = []
  readonly listeners = Listeners.make<LoadEnd | undefined>()
  private readonly states = new Map<string, Pair & { readonly state: Exclude<ResidencyState, "absent"> }>()
  private readonly loading = new Map<string, Running>()
  private readonly failures = new Map<string, LoadError>()
  private readonly now: () => number
  constructor(now: () => number) {
    this.now = now
  }

  private key(backend: string, model: string): string {
    return `${backend} ${model}`
  }
  state(backend: string, model: string): ResidencyState {
    return this.states.get(this.key(backend, model))?.state ?? "absent"
  }
  isLoading(backend: string, model: string): boolean {
    return this.loading.has(this.key(backend, model))
  }
  failure(backend: string, model: string): LoadError | undefined {
    return this.failures.get(this.key(backend, model))
  }
  running(): ReadonlyArray<Pair> {
    return Array.from(this.loading.values(), ({ backend, model }) => ({ backend, model }))
  }

  /** Whether the state is another one now. Tells no listener. */
  put(backend: string, model: string, state: ResidencyState): boolean {
    if (this.state(backend, model) === state) return false
    const key = this.key(backend, model)
    if (state === "absent") this.states.delete(key)
    else this.states.set(key, { backend, model, state })
    return true
  }
  set(backend: string, model: string, state: ResidencyState): void {
    if (this.put(backend, model, state)) this.listeners.notify(undefined)
  }
  forgive(backend: string, model: string): void {
    this.failures.delete(this.key(backend, model))
  }

  /** The load that runs now, if one does. */
  request(backend: string, model: Model): Running | undefined {
    const key = this.key(backend, model.key)
    const joined = this.loading.get(key)
    if (model.remote || this.state(backend, model.key) === "resident" || this.failures.has(key)) return joined
    this.requests.push({ backend, model: model.key })
    if (joined !== undefined) return joined
    const load: Running = { backend, model: model.key, since: this.now(), end: Deferred.makeUnsafe() }
    this.loading.set(key, load)
    this.set(backend, model.key, "loading")
    return load
  }

  finish(backend: string, model: string, failure?: string): void {
    const key = this.key(backend, model)
    const load = this.loading.get(key)
    if (load === undefined) return
    this.loading.delete(key)
    const at = this.now()
    const error = failure === undefined
      ? undefined
      : new LoadError({ backend, model, description: failure, status: 500, at })
    if (error !== undefined) this.failures.set(key, error)
    this.put(backend, model, error === undefined ? "resident" : "absent")
    Deferred.doneUnsafe(load.end, error === undefined ? Effect.void : Effect.fail(error))
    this.listeners.notify({ backend, model, millis: at - load.since, error })
  }

  touch(backend: string, model: Model): void {
    this.touches.push({ backend, model: model.key })
    if (!this.isLoading(backend, model.key)) this.set(backend, model.key, "resident")
  }

  unload(backend: string, model: Model): boolean {
    if (this.state(backend, model.key) !== "resident") return false
    this.unloads.push({ backend, model: model.key })
    this.set(backend, model.key, "absent")
    return true
  }

  forget(backend: string, model: Model | undefined): void {
    const gone = model === undefined ? this.list(backend).map((each) => each.model) : [model.key]
    for (const key of gone) if (!this.isLoading(backend, key)) this.set(backend, key, "absent")
  }

  list(backend: string): ReadonlyArray<ResidentModel> {
    return Array.from(this.states.values()).filter((pair) => pair.backend === backend).map(({ model, state }) => ({
      backend,
      model,
      state,
      size: undefined,
      sizeVram: undefined,
      contextLength: undefined,
      expiresAt: undefined,
      source: "observed",
    }))
  }
}

const residency = (loads: Loads, options: Made): Residency["Service"] => ({
  state: (backend, model) => loads.state(backend, model.key),
  list: (backend) => loads.list(backend),
  request: (backend, model) => void loads.request(backend.id, model),
  load: (backend, model) =>
    Effect.suspend((): Effect.Effect<void, LoadError> => {
      const load = loads.request(backend.id, model)
      if (load !== undefined) return Deferred.await(load.end)
      const failure = loads.failure(backend.id, model.key)
      return failure === undefined ? Effect.void : Effect.fail(failure)
    }),
  unload: (backend, model) => loads.unload(backend.id, model),
  hold: (backend, model) => {
    loads.touch(backend, model)
    return { release: () => {} }
  },
  pin: () => ({ release: () => {} }),
  pinned: () => false,
  serves: (_backend, _model, numCtx) =>
    numCtx === undefined || options.context === undefined ? true : options.context >= numCtx,
  tier: () => undefined,
  context: () => options.context,
  keepAlive: () => undefined,
  usedAt: () => undefined,
  memory: () => undefined,
  spills: () => [],
  onSpill: () => () => {},
  failure: (backend, model) => loads.failure(backend, model.key),
  loadMillis: () => options.loadMillis,
  touch: (backend, model) => loads.touch(backend, model),
  want: () => {},
  forget: (backend, model) => loads.forget(backend, model),
  refresh: Effect.void,
  onChange: loads.listeners.add,
})

const make = (options: Made) =>
  Effect.map(Clock.Clock, (clock) => {
    const loads = new Loads(() => clock.currentTimeMillisUnsafe())
    for (const [backend, model] of options.resident) loads.put(backend, model, "resident")
    const handle = MockLoads.of({
      set: (backend, model, state) => {
        loads.forgive(backend, model)
        loads.set(backend, model, state)
      },
      requests: () => loads.requests.slice(),
      running: () => loads.running(),
      finish: (backend, model, failure) => loads.finish(backend, model, failure),
      touches: () => loads.touches.slice(),
      unloads: () => loads.unloads.slice(),
    })
    return Context.make(Residency, residency(loads, options)).pipe(Context.add(MockLoads, handle))
  })

/**
 * Residency that only the handle, `request`, `touch` and `forget` change. A load ends when the handle ends it. A
 * failure is remembered until `set`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: {
  /** Milliseconds that each load is expected to take. Defaults to `1000`. */
  readonly loadMillis?: number | undefined
  /** Pairs of backend id and canonical key that are resident at first. */
  readonly resident?: ReadonlyArray<readonly [backend: string, model: string]> | undefined
  /** The automatic context of every model, in tokens. Defaults to not known. */
  readonly context?: number | undefined
}): Layer.Layer<Residency | MockLoads> =>
  Layer.effectContext(make({
    loadMillis: options?.loadMillis ?? 1000,
    resident: options?.resident ?? [],
    context: options?.context,
  }))
