/**
 * Typed control calls to one backend, for health, residency and the catalog. Inference does not use them.
 *
 * @since 0.1.0
 */
import { Context, type Effect, Schema } from "effect"
import type { Backend } from "./Fleet.ts"
import type { OllamaApiError } from "./ollamaApiErrors.ts"

export { Malformed, OllamaApiError, Rejected, Unreachable } from "./ollamaApiErrors.ts"

const Details: Schema.Struct<{
  readonly parent_model: Schema.optionalKey<Schema.NullOr<Schema.String>>
  readonly format: Schema.optionalKey<Schema.String>
  readonly family: Schema.optionalKey<Schema.String>
  readonly families: Schema.optionalKey<Schema.NullOr<Schema.$Array<Schema.String>>>
  readonly parameter_size: Schema.optionalKey<Schema.String>
  readonly quantization_level: Schema.optionalKey<Schema.String>
  readonly context_length: Schema.optionalKey<Schema.Number>
  readonly embedding_length: Schema.optionalKey<Schema.Number>
}> = Schema.Struct({
  parent_model: Schema.optionalKey(Schema.NullOr(Schema.String)),
  format: Schema.optionalKey(Schema.String),
  family: Schema.optionalKey(Schema.String),
  families: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.String))),
  parameter_size: Schema.optionalKey(Schema.String),
  quantization_level: Schema.optionalKey(Schema.String),
  context_length: Schema.optionalKey(Schema.Number),
  embedding_length: Schema.optionalKey(Schema.Number),
})

const Tensor: Schema.Struct<{
  readonly name: Schema.String
  readonly type: Schema.String
  readonly shape: Schema.$Array<Schema.Number>
}> = Schema.Struct({
  name: Schema.String,
  type: Schema.String,
  shape: Schema.Array(Schema.Number),
})

/**
 * One row of `/api/tags`: a model on a backend's disk.
 *
 * @category models
 * @since 0.1.0
 */
export const TagsModel: Schema.Struct<{
  readonly name: Schema.String
  readonly model: Schema.String
  readonly modified_at: Schema.optionalKey<Schema.String>
  /** Bytes on disk. */
  readonly size: Schema.Number
  /** Digest of the manifest, 64 hex digits. */
  readonly digest: Schema.String
  readonly details: Schema.optionalKey<typeof Details>
  /** Absent on servers before 0.33. */
  readonly capabilities: Schema.optionalKey<Schema.NullOr<Schema.$Array<Schema.String>>>
  readonly remote_model: Schema.optionalKey<Schema.String>
  readonly remote_host: Schema.optionalKey<Schema.String>
}> = Schema.Struct({
  name: Schema.String,
  model: Schema.String,
  modified_at: Schema.optionalKey(Schema.String),
  size: Schema.Number,
  digest: Schema.String,
  details: Schema.optionalKey(Details),
  capabilities: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.String))),
  remote_model: Schema.optionalKey(Schema.String),
  remote_host: Schema.optionalKey(Schema.String),
})
/** @category models @since 0.1.0 */
export type TagsModel = typeof TagsModel.Type

/**
 * One row of `/api/ps`: a model in a backend's memory. A model that is still loading is not listed.
 *
 * @category models
 * @since 0.1.0
 */
export const PsModel: Schema.Struct<{
  readonly name: Schema.String
  readonly model: Schema.String
  /** Bytes of all its buffers. */
  readonly size: Schema.Number
  readonly digest: Schema.String
  readonly details: Schema.optionalKey<typeof Details>
  /** RFC 3339. Out of date while a request runs; in the year 2319 if it never expires. */
  readonly expires_at: Schema.String
  /** Bytes on GPUs. Less than `size` means that layers spilled into system memory. */
  readonly size_vram: Schema.Number
  /** Absent on servers before 0.7. */
  readonly context_length: Schema.optionalKey<Schema.Number>
}> = Schema.Struct({
  name: Schema.String,
  model: Schema.String,
  size: Schema.Number,
  digest: Schema.String,
  details: Schema.optionalKey(Details),
  expires_at: Schema.String,
  size_vram: Schema.Number,
  context_length: Schema.optionalKey(Schema.Number),
})
/** @category models @since 0.1.0 */
export type PsModel = typeof PsModel.Type

/**
 * The fields of `/api/show` that the router reads.
 *
 * @category models
 * @since 0.1.0
 */
export const ShowModel: Schema.Struct<{
  /** Its line `FROM …/blobs/sha256-…` is the only place that names the blob of the weights. */
  readonly modelfile: Schema.optionalKey<Schema.String>
  readonly parameters: Schema.optionalKey<Schema.String>
  readonly details: Schema.optionalKey<typeof Details>
  readonly model_info: Schema.optionalKey<Schema.NullOr<Schema.$Record<Schema.String, Schema.Unknown>>>
  readonly projector_info: Schema.optionalKey<Schema.NullOr<Schema.$Record<Schema.String, Schema.Unknown>>>
  /** Only with `verbose`. Without it, arrays of more than five elements are empty. */
  readonly tensors: Schema.optionalKey<Schema.NullOr<Schema.$Array<typeof Tensor>>>
  readonly capabilities: Schema.optionalKey<Schema.NullOr<Schema.$Array<Schema.String>>>
}> = Schema.Struct({
  modelfile: Schema.optionalKey(Schema.String),
  parameters: Schema.optionalKey(Schema.String),
  details: Schema.optionalKey(Details),
  model_info: Schema.optionalKey(Schema.NullOr(Schema.Record(Schema.String, Schema.Unknown))),
  projector_info: Schema.optionalKey(Schema.NullOr(Schema.Record(Schema.String, Schema.Unknown))),
  tensors: Schema.optionalKey(Schema.NullOr(Schema.Array(Tensor))),
  capabilities: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.String))),
})
/** @category models @since 0.1.0 */
export type ShowModel = typeof ShowModel.Type

/**
 * How a model is loaded.
 *
 * @category models
 * @since 0.1.0
 */
export interface LoadOptions {
  /** An embedder refuses an empty prompt, so it is loaded by an embed call without input. */
  readonly embedder: boolean
  /** Seconds that it stays in memory unused; negative means for ever. The backend's own default when absent. */
  readonly keepAlive?: number | undefined
  /** Tokens of its context; Ollama's automatic context when absent. */
  readonly numCtx?: number | undefined
}

/**
 * What a description of a model has to contain.
 *
 * @category models
 * @since 0.1.0
 */
export interface ShowOptions {
  /** Whether it has the vocabulary and other long arrays, too: megabytes of JSON. Defaults to `false`. */
  readonly verbose?: boolean | undefined
}

const key = "llamero/services/OllamaApi"
const Base: Context.ServiceClass<OllamaApi, typeof key, Service> = Context.Service<OllamaApi, Service>()(key)

/**
 * Control calls to a backend. Interrupting a call closes its connection. For `load` this ends the load, so only
 * `Residency` calls it.
 *
 * @category services
 * @since 0.1.0
 */
export class OllamaApi extends Base {}

/** The members of `OllamaApi`. @category services @since 0.1.0 */
export interface Service {
  readonly version: (backend: Backend) => Effect.Effect<string, OllamaApiError>
  readonly tags: (backend: Backend) => Effect.Effect<ReadonlyArray<TagsModel>, OllamaApiError>
  readonly ps: (backend: Backend) => Effect.Effect<ReadonlyArray<PsModel>, OllamaApiError>
  readonly show: (
    backend: Backend,
    model: string,
    options?: ShowOptions,
  ) => Effect.Effect<ShowModel, OllamaApiError>
  /** Completes when the model is resident. */
  readonly load: (backend: Backend, model: string, options: LoadOptions) => Effect.Effect<void, OllamaApiError>
  /** Completes when the backend has accepted it, which is before the memory is free. */
  readonly unload: (
    backend: Backend,
    model: string,
    options: { readonly embedder: boolean },
  ) => Effect.Effect<void, OllamaApiError>
}
