/**
 * What each backend holds in memory, and the loads that change it. Loads belong to the router: a client that leaves does not kill one.
 *
 * @since 0.1.0
 */
import { Context, type Effect, Schema } from "effect"
import type { Backend } from "./Fleet.ts"
import type { Model } from "./ModelCatalog.ts"

/** Is a model in a backend's memory? @category models @since 0.1.0 */
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
  /** Bytes, all buffers; `undefined` until `/api/ps` has shown it. */
  readonly size: number | undefined
  /** Bytes on GPUs; below `size` means that layers spilled to the CPU. */
  readonly sizeVram: number | undefined
  readonly contextLength: number | undefined
  /** Milliseconds by the router's clock; `Infinity` for "for ever"; `undefined` while unknown. */
  readonly expiresAt: number | undefined
  /** `observed` in `/api/ps`, or `assumed` from what the router itself did since. */
  readonly source: "observed" | "assumed"
}

/**
 * The last load of a model on a backend failed.
 *
 * @category errors
 * @since 0.1.0
 */
export class LoadError extends Schema.TaggedError<LoadError>()("LoadError", {
  backend: Schema.String,
  model: Schema.String,
  /** What Ollama said, or why it could not be asked. */
  description: Schema.String,
  /** Ollama's status, where it answered. */
  status: Schema.optional(Schema.Number),
  /** Milliseconds by the router's clock. */
  at: Schema.Number,
}) {
  override get message(): string {
    return `loading ${this.model} on ${this.backend}: ${this.description}`
  }
}

/** A load ended, well or badly. @category models @since 0.1.0 */
export interface LoadEnd {
  readonly backend: string
  readonly model: string
  readonly millis: number
  readonly error: LoadError | undefined
  /** It is loaded, but not all of it on GPUs: no success. Only where memory is managed is this known when the load ends. */
  readonly spilled?: boolean | undefined
}

/** A model was found with layers in system memory that should be on a GPU. @category models @since 0.1.0 */
export interface Spill {
  readonly backend: string
  readonly model: string
  readonly size: number
  readonly sizeVram: number
}

/** Bytes; `undefined` is "not known". @category models @since 0.1.0 */
export interface MemoryView {
  /** What a load of the model would be charged. */
  readonly needs: number | undefined
  /** Free for new loads. */
  readonly room: number
  /** What models may take with nothing else loaded. */
  readonly limit: number
}

/** How a model is to be loaded. @category models @since 0.1.0 */
export interface LoadRequest {
  /** An explicit context; Ollama's automatic one when absent. */
  readonly numCtx?: number | undefined
  /** What is there does not do when its context is shorter than this. */
  readonly contextMin?: number | undefined
  /** Whether others may be unloaded for it, and whether it goes before those for which none may. Defaults to `true`. */
  readonly evicts?: boolean | undefined
}

/** Keeps a model from being unloaded until it is released. @category models @since 0.1.0 */
export interface Pin {
  /** Once. */
  readonly release: () => void
}

/**
 * Residency of the fleet.
 *
 * @category services
 * @since 0.1.0
 */
export class Residency extends Context.Service<Residency, {
  /** Synchronous. What is observed, as changed by what the router did since. */
  readonly state: (backend: string, model: Model) => ResidencyState
  /** Everything on one backend. */
  readonly list: (backend: string) => ReadonlyArray<ResidentModel>
  /** Starts a load, or joins the one under way; in the router's scope, so nobody need wait for it. At most one per backend and set of weights, whatever name is asked for. Synchronous. */
  readonly request: (backend: Backend, model: Model, options?: LoadRequest) => void
  /** As `request`, and waits for the end. Interrupting the wait does not stop the load. */
  readonly load: (backend: Backend, model: Model, options?: LoadRequest) => Effect.Effect<void, LoadError>
  /** Unloads a model that is idle and not pinned; whether it is one. Its memory comes back later. Synchronous. */
  readonly unload: (backend: Backend, model: Model) => boolean
  /** A request uses the model from now on, until released: `touch`, and not unloaded meanwhile. Synchronous. */
  readonly hold: (backend: string, model: Model) => Pin
  /** Never chosen to make room, whether it is in memory now or later, under any name of its weights. Synchronous. */
  readonly pin: (backend: string, model: Model) => Pin
  /**
   * Whether a resident model serves a request without being loaded again: one for `numCtx` tokens, or for the automatic context when `undefined`. `undefined`
   * while its context is not known.
   */
  readonly serves: (backend: string, model: Model, numCtx: number | undefined) => boolean | undefined
  /** The explicit context that the model was loaded with; `undefined` for the automatic one, and for what is absent. */
  readonly tier: (backend: string, model: Model) => number | undefined
  /** The automatic context of the model there: what it has, or had when last seen, or would have; `undefined` when not known. */
  readonly context: (backend: string, model: Model) => number | undefined
  /** Seconds that are sent with loads there, negative for ever; `undefined` where it is left to the backend. */
  readonly keepAlive: (backend: string) => number | undefined
  /** When a request that wants to keep the model last used it; `undefined` when none has. */
  readonly usedAt: (backend: string, model: Model) => number | undefined
  /** The memory there, and what the model would take of it; `undefined` where it is not managed. */
  readonly memory: (backend: string, model: Model) => MemoryView | undefined
  /** Layers that spilled from a GPU, of what is in memory now. */
  readonly spills: (backend: string) => ReadonlyArray<Spill>
  /** The failure of the last load there, while it is recent enough that another is not tried at once. */
  readonly failure: (backend: string, model: Model) => LoadError | undefined
  /** Milliseconds a load of this model there is expected to take: measured where it has been loaded before, else an estimate. */
  readonly loadMillis: (backend: string, model: Model) => number
  /** A request used the model: what keep-alive does in the backend is taken over here. Synchronous. */
  readonly touch: (backend: string, model: Model) => void
  /** A request waits for a model that is there: for making room that is as good as a use. Synchronous. */
  readonly want: (backend: string, model: Model) => void
  /** The backend says that the model is not there after all. Synchronous. */
  readonly forget: (backend: string, model?: Model) => void
  /** Reads `/api/ps` of every backend now. */
  readonly refresh: Effect.Effect<void>
  /** Called synchronously after each change. Returns the way to stop. */
  readonly onChange: (listener: (end: LoadEnd | undefined) => void) => () => void
  /** Called synchronously when a spill is first seen. Returns the way to stop. */
  readonly onSpill: (listener: (spill: Spill) => void) => () => void
}>()("llamero/services/Residency") {}
