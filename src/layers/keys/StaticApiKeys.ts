/**
 * API keys listed in code.
 *
 * @since 0.1.0
 */
import { Layer } from "effect"
import { ApiKeys, type Grant } from "../../services/ApiKeys.ts"
import * as ModelName from "../../services/ModelName.ts"
import * as Table from "./table.ts"

/** A key and what it grants. @category models @since 0.1.0 */
export interface Key extends Omit<Grant, "models" | "tenant"> {
  /** The SHA-256 of the key in hex, or the key itself, for tests and examples. */
  readonly secret: { readonly sha256: string } | { readonly key: string }
  /** Defaults to `id`. */
  readonly tenant?: string | undefined
  /** Names of the models that the key may ask for. Defaults to all. */
  readonly models?: ReadonlyArray<string> | undefined
}

/** The given keys, for as long as the layer lives. @category layers @since 0.1.0 */
export const layer = (keys: ReadonlyArray<Key>): Layer.Layer<ApiKeys> =>
  Layer.sync(ApiKeys, () =>
    Table.make(keys.map(({ models, secret, tenant, ...grant }) => ({
      sha256: "key" in secret ? Table.hash(secret.key) : secret.sha256.toLowerCase(),
      grant: {
        ...grant,
        tenant: tenant ?? grant.id,
        models: models === undefined ? undefined : new Set(models.map(ModelName.canonical)),
      },
    }))))
