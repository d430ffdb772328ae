/**
 * Which models the fleet has, under one canonical name each, and who owns them.
 *
 * @since 0.1.0
 */
import { Context, type Effect, type Option, Schema } from "effect"

/**
 * What a model can be asked for: `completion`, `embedding`, `vision`, `tools`, `insert`, `thinking`, and what later versions add.
 *
 * @category models
 * @since 0.1.0
 */
export type Capability = string

/**
 * A model as the fleet knows it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Model {
  /** Canonical short name, lower case, with its tag: `llama3.1:8b`, `someone/thing:latest`. Queues, limits, residency and metrics use it. */
  readonly key: string
  /** Backend ids that have it on disk, with the digest each one has (they may differ). */
  readonly owners: ReadonlyMap<string, { readonly digest: string; readonly size: number }>
  /** Empty when the backends do not say. */
  readonly capabilities: ReadonlyArray<Capability>
  /** Proxied by Ollama to ollama.com: uses no local GPU, is never loaded and charged no memory. */
  readonly remote: boolean
  /** The longest context that it is ever loaded with, where a backend says so; of several owners the most. */
  readonly contextTrained?: number | undefined
}

/** Says it is an embedder, so is loaded by an empty embed call. @category models @since 0.1.0 */
export const isEmbedder = (model: Model): boolean =>
  model.capabilities.includes("embedding") && !model.capabilities.includes("completion")

/**
 * No backend has this model.
 *
 * @category errors
 * @since 0.1.0
 */
export class ModelMissing extends Schema.TaggedError<ModelMissing>()("ModelMissing", { name: Schema.String }) {}

/**
 * No backend could be asked, so nothing is known about this model. Not the same as missing.
 *
 * @category errors
 * @since 0.1.0
 */
export class CatalogUnavailable
  extends Schema.TaggedError<CatalogUnavailable>()("CatalogUnavailable", { description: Schema.String }) {}

/**
 * The one error a caller of `ModelCatalog` sees.
 *
 * @category errors
 * @since 0.1.0
 */
export class ModelCatalogError extends Schema.TaggedError<ModelCatalogError>()("ModelCatalogError", {
  reason: Schema.Union([ModelMissing, CatalogUnavailable]),
}) {}

/**
 * The models of the fleet.
 *
 * @category services
 * @since 0.1.0
 */
export class ModelCatalog extends Context.Service<ModelCatalog, {
  /** Any spelling to the model, from what is known now. Synchronous; `undefined` means "ask `find`", not "missing". */
  readonly peek: (name: string) => Model | undefined
  /** As `peek`, but asks the backends when it does not know, so that a model pulled a moment ago is found. */
  readonly find: (name: string) => Effect.Effect<Model, ModelCatalogError>
  /** All models, sorted by key. */
  readonly models: () => ReadonlyArray<Model>
  /** Digest of the weights' blob on a backend, when already read: two names with one blob share a runner. */
  readonly blob: (model: Model, backendId: string) => Option.Option<string>
  /** Rises when owners change, so that lists built from the catalog can be cached. */
  readonly version: () => number
  /** A backend has said that it does not have the model: it is no owner until its next list says otherwise. */
  readonly forget: (backendId: string, model: Model) => void
  /** Asks every backend now. */
  readonly refresh: Effect.Effect<void>
}>()("llamero/services/ModelCatalog") {}
