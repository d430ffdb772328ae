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
  /** Starts a load, or joins the one under way; in the router's scope, so nobody need wait for it. At most one per backend and model. Synchronous. */
  readonly request: (backend: Backend, model: Model, options?: { readonly numCtx?: number | undefined }) => void
  /** As `request`, and waits for the end. Interrupting the wait does not stop the load. */
  readonly load: (
    backend: Backend,
    model: Model,
    options?: { readonly numCtx?: number | undefined },
  ) => Effect.Effect<void, LoadError>
  /** The failure of the last load there, while it is recent enough that another is not tried at once. */
  readonly failure: (backend: string, model: Model) => LoadError | undefined
  /** Milliseconds a load of this model there is expected to take: measured where it has been loaded before, else an estimate. */
  readonly loadMillis: (backend: string, model: Model) => number
  /** A request used the model: what keep-alive does in the backend is taken over here. Synchronous. */
  readonly touch: (backend: string, model: Model) => void
  /** The backend says that the model is not there after all. Synchronous. */
  readonly forget: (backend: string, model?: Model) => void
  /** Reads `/api/ps` of every backend now. */
  readonly refresh: Effect.Effect<void>
  /** Called synchronously after each change. Returns the way to stop. */
  readonly onChange: (listener: (end: LoadEnd | undefined) => void) => () => void
}>()("llamero/services/Residency") {}
