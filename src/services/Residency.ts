/**
 * Knows which models are in each backend's memory, and loads and unloads them. Loads belong to the router: a client
 * that leaves does not stop a load.
 *
 * @since 0.1.0
 */
import { Context, type Effect, Schema } from "effect"
import type { Backend } from "./Fleet.ts"
import type { Model } from "./ModelCatalog.ts"
import type { TaggedErrorClass } from "./taggedErrorClass.ts"

/** Whether a model is in a backend's memory. @category models @since 0.1.0 */
export type ResidencyState = "absent" | "loading" | "resident" | "draining"

/**
 * A model in a backend's memory.
 *
 * @category models
 * @since 0.1.0
 */
export interface ResidentModel {
  readonly backend: string
  /** Canonical key. */
  readonly model: string
  readonly state: Exclude<ResidencyState, "absent">
  /** Bytes of all buffers; `undefined` until `/api/ps` has shown the model. */
  readonly size: number | undefined
  /** Bytes on GPUs. Less than `size` means that layers spilled to the CPU. */
  readonly sizeVram: number | undefined
  /** Tokens; `undefined` while not known. */
  readonly contextLength: number | undefined
  /** Milliseconds by the router's clock; `Infinity` for "for ever"; `undefined` while not known. */
  readonly expiresAt: number | undefined
  /** `observed` in `/api/ps`, or `assumed` from what the router itself has done since. */
  readonly source: "observed" | "assumed"
}

const LoadErrorBase: TaggedErrorClass<LoadError, "LoadError", {
  readonly backend: Schema.String
  readonly model: Schema.String
  /** What Ollama answered, or why there is no answer. */
  readonly description: Schema.String
  /** HTTP status of Ollama's answer; absent when there is none. */
  readonly status: Schema.optional<Schema.Number>
  /** Milliseconds by the router's clock. */
  readonly at: Schema.Number
}> = Schema.TaggedError<LoadError>()("LoadError", {
  backend: Schema.String,
  model: Schema.String,
  description: Schema.String,
  status: Schema.optional(Schema.Number),
  at: Schema.Number,
})

/**
 * The last load of a model on a backend failed.
 *
 * @category errors
 * @since 0.1.0
 */
export class LoadError extends LoadErrorBase {
  override get message(): string {
    return `loading ${this.model} on ${this.backend}: ${this.description}`
  }
}

/** A load has ended, with success or with an error. @category models @since 0.1.0 */
export interface LoadEnd {
  readonly backend: string
  readonly model: string
  /** Milliseconds that the load took. */
  readonly millis: number
  readonly error: LoadError | undefined
  /**
   * The model is loaded, but not all of it on GPUs, so the load does not count as a success. When a load ends, this is
   * known only if llamero manages the memory.
   */
  readonly spilled?: boolean | undefined
}

/** A model has layers in system memory that should be on a GPU. @category models @since 0.1.0 */
export interface Spill {
  readonly backend: string
  readonly model: string
  /** Bytes of all buffers. */
  readonly size: number
  /** Bytes on GPUs. */
  readonly sizeVram: number
}

/**
 * The memory of a backend as a load of one model sees it. Bytes; `undefined` is "not known".
 *
 * @category models
 * @since 0.1.0
 */
export interface MemoryView {
  /** Bytes that a load of the model would be charged. */
  readonly needs: number | undefined
  /** Bytes free for new loads. */
  readonly room: number
  /** Bytes that one model may take with nothing else loaded. */
  readonly limit: number
}

/** How a model is to be loaded. @category models @since 0.1.0 */
export interface LoadRequest {
  /** Explicit context in tokens; Ollama's automatic context when absent. */
  readonly numCtx?: number | undefined
  /** Tokens. A resident model whose automatic context is shorter than this is loaded again. */
  readonly contextMin?: number | undefined
  /**
   * Whether other models may be unloaded for this load. Such a load also stands in the queue before loads without
   * this. Defaults to `true`.
   */
  readonly evicts?: boolean | undefined
}

/** Keeps a model from being unloaded until it is released. @category models @since 0.1.0 */
export interface Pin {
  /** Ends the pin. Later calls do nothing. */
  readonly release: () => void
}

const key = "llamero/services/Residency"
const Base: Context.ServiceClass<Residency, typeof key, Service> = Context.Service<Residency, Service>()(key)

/**
 * Which models are in memory on each backend of the fleet. Starts and ends loads and unloads.
 *
 * @category services
 * @since 0.1.0
 */
export class Residency extends Base {}

/** The members of `Residency`. @category services @since 0.1.0 */
export interface Service {
  /** The state by the last `/api/ps`, and by the router's own loads and unloads since then. Synchronous. */
  readonly state: (backend: string, model: Model) => ResidencyState
  /** All models in memory or being loaded on one backend. */
  readonly list: (backend: string) => ReadonlyArray<ResidentModel>
  /**
   * Starts a load, or joins the load of the same weights that is queued or running, whatever name is asked for. Does
   * nothing when the model is resident, or when its last load failed a moment ago. The load runs in the router's
   * scope, so no fiber has to wait for it. Synchronous.
   */
  readonly request: (backend: Backend, model: Model, options?: LoadRequest) => void
  /** Like `request`, and waits for the end of the load. Interrupting the wait does not stop the load. */
  readonly load: (backend: Backend, model: Model, options?: LoadRequest) => Effect.Effect<void, LoadError>
  /**
   * Unloads the model if it is idle and not pinned; returns whether it does. Its memory is free later. Synchronous.
   */
  readonly unload: (backend: Backend, model: Model) => boolean
  /** A request uses the model until it releases this: the model is resident, and is not unloaded. Synchronous. */
  readonly hold: (backend: string, model: Model) => Pin
  /**
   * Keeps a model from being unloaded, whether it is in memory now or later, under any name of its weights.
   * Synchronous.
   */
  readonly pin: (backend: string, model: Model) => Pin
  /**
   * Whether a resident model serves a request without being loaded again: a request for `numCtx` tokens, or for the
   * automatic context when that is `undefined`. The answer is `undefined` while the context is not known.
   */
  readonly serves: (backend: string, model: Model, numCtx: number | undefined) => boolean | undefined
  /** The explicit context the model was loaded with; `undefined` for the automatic context and for an absent model. */
  readonly tier: (backend: string, model: Model) => number | undefined
  /**
   * The automatic context of the model on this backend, in tokens: that of the model in memory, or else the last one
   * that was seen, or else the expected one. `undefined` when not known.
   */
  readonly context: (backend: string, model: Model) => number | undefined
  /**
   * Keep-alive that loads on this backend ask for: seconds, negative for ever; `undefined` for the backend's default.
   */
  readonly keepAlive: (backend: string) => number | undefined
  /**
   * When a request last used the model, by `touch`; `undefined` when none has. Milliseconds by the router's clock. With
   * `but`, uses by this client do not count.
   */
  readonly usedAt: (backend: string, model: Model, but?: string) => number | undefined
  /** Whether the model has a `pin`, under any name of its weights. */
  readonly pinned: (backend: string, model: Model) => boolean
  /** The memory of the backend, and the bytes the model would take; `undefined` where memory is not managed. */
  readonly memory: (backend: string, model: Model) => MemoryView | undefined
  /** The models in memory now that have layers in system memory which should be on a GPU. */
  readonly spills: (backend: string) => ReadonlyArray<Spill>
  /** The error of the last load, while its cool-down lasts: until then the load is not tried again. */
  readonly failure: (backend: string, model: Model) => LoadError | undefined
  /** Milliseconds that a load of the model is expected to take: measured in earlier loads, else estimated. */
  readonly loadMillis: (backend: string, model: Model) => number
  /**
   * A request has used the model: it is resident, and its keep-alive begins again. `client` is who sent it, as
   * `clientOf` tells. Synchronous.
   */
  readonly touch: (backend: string, model: Model, client?: string) => void
  /**
   * A request waits for a model that is in memory. When models are chosen to make room, this counts like a use.
   * Synchronous.
   */
  readonly want: (backend: string, model: Model) => void
  /** The backend says that the model, or every model when absent, is not in memory. Synchronous. */
  readonly forget: (backend: string, model?: Model) => void
  /** Reads `/api/ps` of every backend now. */
  readonly refresh: Effect.Effect<void>
  /**
   * Calls the listener synchronously after each change, with the load that ended if one did. Returns a stop function.
   */
  readonly onChange: (listener: (end: LoadEnd | undefined) => void) => () => void
  /** Calls the listener synchronously when a spill is first seen. Returns a stop function. */
  readonly onSpill: (listener: (spill: Spill) => void) => () => void
}
