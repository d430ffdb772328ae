/**
 * The control calls to one backend, typed: what health, residency and the catalog need. Inference never goes this way.
 *
 * @since 0.1.0
 */
import { Context, type Effect, Schema } from "effect"
import type { Backend } from "./Fleet.ts"

const Details = Schema.Struct({
  parent_model: Schema.optionalKey(Schema.NullOr(Schema.String)),
  format: Schema.optionalKey(Schema.String),
  family: Schema.optionalKey(Schema.String),
  families: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.String))),
  parameter_size: Schema.optionalKey(Schema.String),
  quantization_level: Schema.optionalKey(Schema.String),
  context_length: Schema.optionalKey(Schema.Number),
  embedding_length: Schema.optionalKey(Schema.Number),
})

/**
 * One row of `/api/tags`: a model on a backend's disk.
 *
 * @category models
 * @since 0.1.0
 */
export const TagsModel = Schema.Struct({
  name: Schema.String,
  model: Schema.String,
  modified_at: Schema.optionalKey(Schema.String),
  /** Bytes on disk. */
  size: Schema.Number,
  /** Of the manifest, 64 hex digits. */
  digest: Schema.String,
  details: Schema.optionalKey(Details),
  /** Since 0.33; absent before. */
  capabilities: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.String))),
  remote_model: Schema.optionalKey(Schema.String),
  remote_host: Schema.optionalKey(Schema.String),
})
/** @category models @since 0.1.0 */
export type TagsModel = typeof TagsModel.Type

/**
 * One row of `/api/ps`: a model in a backend's memory. A model being loaded is not listed.
 *
 * @category models
 * @since 0.1.0
 */
export const PsModel = Schema.Struct({
  name: Schema.String,
  model: Schema.String,
  /** Bytes, all buffers. */
  size: Schema.Number,
  digest: Schema.String,
  details: Schema.optionalKey(Details),
  /** RFC 3339; stale while a request runs, in the year 2319 for "for ever". */
  expires_at: Schema.String,
  /** Bytes on GPUs; less than `size` means that layers spilled to the CPU. */
  size_vram: Schema.Number,
  /** Absent before 0.7. */
  context_length: Schema.optionalKey(Schema.Number),
})
/** @category models @since 0.1.0 */
export type PsModel = typeof PsModel.Type

/**
 * What of `/api/show` the router reads.
 *
 * @category models
 * @since 0.1.0
 */
export const ShowModel = Schema.Struct({
  /** Its `FROM …/blobs/sha256-…` line is the only place that names the weights' blob. */
  modelfile: Schema.optionalKey(Schema.String),
  parameters: Schema.optionalKey(Schema.String),
  details: Schema.optionalKey(Details),
  model_info: Schema.optionalKey(Schema.NullOr(Schema.Record(Schema.String, Schema.Unknown))),
  projector_info: Schema.optionalKey(Schema.NullOr(Schema.Record(Schema.String, Schema.Unknown))),
  /** Only in the long answer, which `show` asks for: without it arrays of more than five come back empty. */
  tensors: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.Struct({
    name: Schema.String,
    type: Schema.String,
    shape: Schema.Array(Schema.Number),
  })))),
  capabilities: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.String))),
})
/** @category models @since 0.1.0 */
export type ShowModel = typeof ShowModel.Type

/**
 * No answer: refused, reset or too slow.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", { description: Schema.String }) {}

/**
 * Ollama answered with an error: `status` and the text of its `error` field.
 *
 * @category errors
 * @since 0.1.0
 */
export class Rejected extends Schema.TaggedError<Rejected>()("Rejected", {
  status: Schema.Number,
  description: Schema.String,
}) {}

/**
 * The answer is not what Ollama sends.
 *
 * @category errors
 * @since 0.1.0
 */
export class Malformed extends Schema.TaggedError<Malformed>()("Malformed", { description: Schema.String }) {}

/**
 * The one error of a control call.
 *
 * @category errors
 * @since 0.1.0
 */
export class OllamaApiError extends Schema.TaggedError<OllamaApiError>()("OllamaApiError", {
  backend: Schema.String,
  call: Schema.String,
  reason: Schema.Union([Unreachable, Rejected, Malformed]),
}) {
  override get message(): string {
    return `${this.call} on ${this.backend}: ${this.reason.description}`
  }
}

/**
 * How a model is brought into memory.
 *
 * @category models
 * @since 0.1.0
 */
export interface LoadOptions {
  /** Embedders refuse the empty prompt and are loaded by an embed call without input. */
  readonly embedder: boolean
  /** Seconds, or a negative number for "for ever"; the backend's own default when absent. */
  readonly keepAlive?: number | undefined
  /** Context to load with; Ollama's automatic one when absent. */
  readonly numCtx?: number | undefined
}

/**
 * Control calls to a backend. Interrupting one drops its connection, which for `load` kills the load: see `Residency`, which owns loads.
 *
 * @category services
 * @since 0.1.0
 */
export class OllamaApi extends Context.Service<OllamaApi, {
  readonly version: (backend: Backend) => Effect.Effect<string, OllamaApiError>
  readonly tags: (backend: Backend) => Effect.Effect<ReadonlyArray<TagsModel>, OllamaApiError>
  readonly ps: (backend: Backend) => Effect.Effect<ReadonlyArray<PsModel>, OllamaApiError>
  readonly show: (backend: Backend, model: string) => Effect.Effect<ShowModel, OllamaApiError>
  /** Completes when the model is resident. */
  readonly load: (backend: Backend, model: string, options: LoadOptions) => Effect.Effect<void, OllamaApiError>
  /** Completes when the backend has taken note, which is before the memory is free. */
  readonly unload: (
    backend: Backend,
    model: string,
    options: { readonly embedder: boolean },
  ) => Effect.Effect<void, OllamaApiError>
}>()("llamero/services/OllamaApi") {}
