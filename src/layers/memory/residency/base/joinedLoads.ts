/**
 * The loads of a `ResidencyBase`: one for each model on a backend at a time, and a pause after a failure.
 *
 * @since 0.1.0
 */
import { Cause, type Clock, Deferred, Effect } from "effect"
import type { Backend } from "../../../../services/Fleet.ts"
import type { Model } from "../../../../services/ModelCatalog.ts"
import { LoadError, type LoadRequest } from "../../../../services/Residency.ts"
import { idOf, type LoadedModels } from "./loadedModels.ts"
import { SweptMap } from "../../../../support/sweptMap.ts"

/** Why a load failed. @category models @since 0.1.0 */
export interface LoadFailure {
  /** What the server said, or why it could not be asked. */
  readonly description: string
  /** The HTTP status, where the server answered. */
  readonly status?: number | undefined
}

/** How models are loaded and unloaded. @category models @since 0.1.0 */
export interface Driver {
  /**
   * Ends when the model is in memory. Runs in the scope of the layer, at most once at a time for a model on a
   * backend.
   */
  readonly load: (backend: Backend, model: Model, request: LoadRequest) => Effect.Effect<void, LoadFailure>
  /** Asks for the end of a model that is in memory. Its failure is logged. */
  readonly unload: (backend: Backend, model: Model) => Effect.Effect<void, LoadFailure>
  /** How long a load is expected to take, in milliseconds. Defaults to `10000`. */
  readonly loadMillis?: ((backend: string, model: Model) => number) | undefined
  /** How long a failed load is not tried again, in milliseconds. Defaults to `10000`. */
  readonly retryMillis?: number | undefined
}

/** The loads under way and the latest failures. @category models @since 0.1.0 */
export class JoinedLoads {
  private readonly running = new Map<string, Deferred.Deferred<void, LoadError>>()
  private readonly failures = new SweptMap<LoadError>()
  private readonly memory: LoadedModels
  private readonly driver: Driver
  private readonly clock: Clock.Clock
  private readonly fork: (effect: Effect.Effect<unknown>) => void

  constructor(
    memory: LoadedModels,
    driver: Driver,
    clock: Clock.Clock,
    fork: (effect: Effect.Effect<unknown>) => void,
  ) {
    this.memory = memory
    this.driver = driver
    this.clock = clock
    this.fork = fork
  }

  failure(backend: string, model: string): LoadError | undefined {
    const failure = this.failures.get(idOf(backend, model))
    if (failure === undefined) return undefined
    return this.clock.currentTimeMillisUnsafe() - failure.at < (this.driver.retryMillis ?? 10_000) ? failure : undefined
  }

  /** The load of a model: the one under way, or a new one. `undefined` where none is needed, or the last one failed. */
  request(backend: Backend, model: Model, options: LoadRequest): Deferred.Deferred<void, LoadError> | undefined {
    const id = idOf(backend.id, model.key)
    const running = this.running.get(id)
    if (running !== undefined) return running
    const isIn = this.memory.state(backend.id, model.key) === "resident"
    if (model.remote || isIn || this.failure(backend.id, model.key) !== undefined) return undefined
    const end = Deferred.makeUnsafe<void, LoadError>()
    const since = this.clock.currentTimeMillisUnsafe()
    this.running.set(id, end)
    this.memory.put(backend.id, model.key, "loading")
    this.memory.listeners.notify(undefined)
    const load = Effect.suspend(() => this.driver.load(backend, model, options))
    this.fork(
      Effect.matchCause(load, {
        onFailure: (cause) => this.ended(backend.id, model.key, since, end, failureOf(cause)),
        onSuccess: () => this.ended(backend.id, model.key, since, end, undefined),
      }),
    )
    return end
  }

  private ended(
    backend: string,
    model: string,
    since: number,
    end: Deferred.Deferred<void, LoadError>,
    failure: LoadFailure | undefined,
  ): void {
    const id = idOf(backend, model)
    const at = this.clock.currentTimeMillisUnsafe()
    const error = failure === undefined ? undefined : new LoadError({ backend, model, at, ...failure })
    this.running.delete(id)
    if (error === undefined) {
      this.failures.delete(id)
      this.memory.put(backend, model, "resident")
    } else {
      this.failures.set(id, error)
      this.memory.held.delete(id)
    }
    Deferred.doneUnsafe(end, error === undefined ? Effect.void : Effect.fail(error))
    this.memory.listeners.notify({ backend, model, millis: at - since, error })
  }
}

/** A defect of the driver is a failed load. */
const failureOf = (cause: Cause.Cause<LoadFailure>): LoadFailure => {
  const failure = Cause.findErrorOption(cause)
  return failure._tag === "Some" ? failure.value : { description: Cause.pretty(cause) }
}
