/**
 * Knows which models the fleet has, each under one canonical name, and which backends have them on disk.
 *
 * @since 0.1.0
 */
import { Context, type Effect, type Option, Schema } from "effect"
import type { TaggedErrorClass } from "./taggedErrorClass.ts"

/**
 * What a model can do: `completion`, `embedding`, `vision`, `tools`, `insert`, `thinking`, and what later versions of
 * Ollama add.
 *
 * @category models
 * @since 0.1.0
 */
export type Capability = string

/**
 * A model of the fleet.
 *
 * @category models
 * @since 0.1.0
 */
export interface Model {
  /**
   * Canonical short name in lower case, with its tag: `llama3.1:8b`, `someone/thing:latest`. Queues, limits,
   * residency and metrics use it.
   */
  readonly key: string
  /**
   * Ids of the backends that have it on disk, with the digest of its manifest there (which may differ) and its size
   * in bytes.
   */
  readonly owners: ReadonlyMap<string, { readonly digest: string; readonly size: number }>
  /** Empty where the backends do not list them. */
  readonly capabilities: ReadonlyArray<Capability>
  /** Whether Ollama forwards it to ollama.com. Such a model uses no local GPU, is never loaded and needs no memory. */
  readonly remote: boolean
  /**
   * Tokens of the longest context that it can be loaded with, where a backend reports it: the largest value of all
   * owners.
   */
  readonly contextTrained?: number | undefined
}

/** Whether a model only makes embeddings, so that it is loaded by an empty embed call. @category models @since 0.1.0 */
export const isEmbedder = (model: Model): boolean =>
  model.capabilities.includes("embedding") && !model.capabilities.includes("completion")

const ModelMissingBase: TaggedErrorClass<ModelMissing, "ModelMissing", { readonly name: Schema.String }> = Schema
  .TaggedError<ModelMissing>()("ModelMissing", { name: Schema.String })

/**
 * No backend has this model.
 *
 * @category errors
 * @since 0.1.0
 */
export class ModelMissing extends ModelMissingBase {}

const CatalogUnavailableBase: TaggedErrorClass<
  CatalogUnavailable,
  "CatalogUnavailable",
  { readonly description: Schema.String }
> = Schema.TaggedError<CatalogUnavailable>()("CatalogUnavailable", { description: Schema.String })

/**
 * No backend answers, so it is not known whether a backend has this model.
 *
 * @category errors
 * @since 0.1.0
 */
export class CatalogUnavailable extends CatalogUnavailableBase {}

const ModelCatalogErrorBase: TaggedErrorClass<
  ModelCatalogError,
  "ModelCatalogError",
  { readonly reason: Schema.Union<readonly [typeof ModelMissing, typeof CatalogUnavailable]> }
> = Schema.TaggedError<ModelCatalogError>()("ModelCatalogError", {
  reason: Schema.Union([ModelMissing, CatalogUnavailable]),
})

/**
 * The one error a caller of `ModelCatalog` sees.
 *
 * @category errors
 * @since 0.1.0
 */
export class ModelCatalogError extends ModelCatalogErrorBase {}

const key = "llamero/services/ModelCatalog"
const Base: Context.ServiceClass<ModelCatalog, typeof key, Service> = Context.Service<ModelCatalog, Service>()(key)

/**
 * The models of the fleet.
 *
 * @category services
 * @since 0.1.0
 */
export class ModelCatalog extends Base {}

/** The members of `ModelCatalog`. @category services @since 0.1.0 */
export interface Service {
  /**
   * The model for any spelling of its name, as last read. Synchronous. `undefined` does not mean that no backend has
   * the model: use `find` to know.
   */
  readonly peek: (name: string) => Model | undefined
  /** As `peek`, but reads the backends again when the name is unknown, so that it finds a model pulled a moment ago. */
  readonly find: (name: string) => Effect.Effect<Model, ModelCatalogError>
  /** All models, sorted by key. */
  readonly models: () => ReadonlyArray<Model>
  /** Digest of the weights on a backend, once it was read. Two names with the same blob share a runner. */
  readonly blob: (model: Model, backendId: string) => Option.Option<string>
  /** Rises with every change, so that lists made from the catalog can be cached. */
  readonly version: () => number
  /**
   * Call it when a backend has answered that it does not have the model. The backend then does not count as an owner
   * until its list of models has the model again.
   */
  readonly forget: (backendId: string, model: Model) => void
  /** Reads every backend now. */
  readonly refresh: Effect.Effect<void>
}
