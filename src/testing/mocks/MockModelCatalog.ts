/**
 * A catalog from a list.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer, Option } from "effect"
import { type Model, ModelCatalog, ModelCatalogError, ModelMissing } from "../../services/ModelCatalog.ts"
import * as ModelName from "../../services/ModelName.ts"

/**
 * A model in short: its name, and what differs from a model that no backend has.
 *
 * @category models
 * @since 0.1.0
 */
export type ModelInput = string | {
  readonly name: string
  /** Backend ids. */
  readonly owners?: ReadonlyArray<string> | undefined
  /** The same on all owners. Defaults to `sha-` and the key, so that different models differ. */
  readonly digest?: string | undefined
  /** Bytes. Defaults to `4e9`. */
  readonly size?: number | undefined
  readonly capabilities?: ReadonlyArray<string> | undefined
  readonly remote?: boolean | undefined
  /** Digest of the weights on every owner. Defaults to not known. */
  readonly blob?: string | undefined
}

/** A `Model` from its short form. @category constructors @since 0.1.0 */
export const model = (input: ModelInput): Model => {
  const options = typeof input === "string" ? { name: input } : input
  const { cloud, key } = ModelName.parse(options.name)
  const owner = { digest: options.digest ?? `sha-${key}`, size: options.size ?? 4e9 }
  return {
    key,
    owners: new Map((options.owners ?? []).map((id) => [id, owner])),
    capabilities: options.capabilities ?? [],
    remote: options.remote ?? cloud,
  }
}

const key = "llamero/testing/mocks/MockModelCatalog/MockModels"
const Base: Context.ServiceClass<MockModels, typeof key, Service> = Context.Service<MockModels, Service>()(key)

/**
 * Test handle.
 *
 * @category services
 * @since 0.1.0
 */
export class MockModels extends Base {}

/** The members of `MockModels`. @category services @since 0.1.0 */
export interface Service {
  /** Replaces the list. Synchronous. */
  readonly set: (models: ReadonlyArray<ModelInput>) => void
}

/**
 * Knows the models of the list, until the handle replaces it. Any other model is `ModelMissing` at once.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (initial: ReadonlyArray<ModelInput> = []): Layer.Layer<ModelCatalog | MockModels> =>
  Layer.effectContext(Effect.sync(() => {
    let byKey = new Map<string, Model>()
    let blobs = new Map<string, string>()
    let sorted: ReadonlyArray<Model> = []
    let version = 0
    const set = (inputs: ReadonlyArray<ModelInput>): void => {
      sorted = inputs.map(model).sort((a, b) => a.key < b.key ? -1 : 1)
      byKey = new Map(sorted.map((each) => [each.key, each]))
      blobs = new Map(
        inputs.flatMap((input) =>
          typeof input === "object" && input.blob !== undefined
            ? [[ModelName.canonical(input.name), input.blob] as const]
            : []
        ),
      )
      version++
    }
    set(initial)
    const peek = (name: string): Model | undefined => byKey.get(ModelName.canonical(name))
    const catalog = ModelCatalog.of({
      peek,
      find: (name) =>
        Effect.suspend(() => {
          const found = peek(name)
          if (found !== undefined) return Effect.succeed(found)
          return Effect.fail(new ModelCatalogError({ reason: new ModelMissing({ name }) }))
        }),
      models: () => sorted,
      blob: ({ key, owners }, backend) => owners.has(backend) ? Option.fromUndefinedOr(blobs.get(key)) : Option.none(),
      version: () => version,
      forget: (backend, { key }) => {
        const found = byKey.get(key)
        if (found === undefined) return
        const owners = new Map(Array.from(found.owners).filter(([id]) => id !== backend))
        byKey.set(key, { ...found, owners })
        sorted = Array.from(byKey.values()).sort((a, b) => a.key < b.key ? -1 : 1)
        version++
      },
      refresh: Effect.void,
    })
    return Context.make(ModelCatalog, catalog).pipe(Context.add(MockModels, MockModels.of({ set })))
  }))
