/**
 * One list of models of one backend.
 *
 * @since 0.1.0
 */
import * as ModelName from "../../services/ModelName.ts"
import type { TagsModel } from "../../services/OllamaApi.ts"

/** @category models @since 0.1.0 */
export type Rows = ReadonlyArray<TagsModel>

type Texts = ReadonlyArray<string> | null | undefined

const sameTexts = (a: Texts, b: Texts): boolean =>
  a === b || (a != null && b != null && a.length === b.length && a.every((text, i) => text === b[i]))

/** Whether two rows say the same of a model. */
const sameRow = (a: TagsModel, b: TagsModel): boolean =>
  a === b || (a.model === b.model && a.digest === b.digest && a.size === b.size &&
    sameTexts(a.capabilities, b.capabilities) && a.remote_host === b.remote_host &&
    a.remote_model === b.remote_model && a.details?.context_length === b.details?.context_length)

/** Whether two lists say the same. @category predicates @since 0.1.0 */
export const sameRows = (a: Rows, b: Rows): boolean => a.length === b.length && a.every((row, i) => sameRow(row, b[i]!))

/**
 * The last list of one backend. Under each key, the rows that are spellings of it: nearly always one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Listed {
  readonly rows: Rows
  readonly byKey: ReadonlyMap<string, Rows>
}

/** @category constructors @since 0.1.0 */
export const listedOf = (rows: Rows): Listed => {
  const byKey = new Map<string, Array<TagsModel>>()
  for (const row of rows) {
    const key = ModelName.canonical(row.model)
    const known = byKey.get(key)
    if (known === undefined) byKey.set(key, [row])
    else known.push(row)
  }
  return { rows, byKey }
}

/** A backend that lists nothing. @category constants @since 0.1.0 */
export const none: Listed = { rows: [], byKey: new Map() }

/**
 * Whether the digest or the size has changed that a backend has of a model: those of the last row.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isOtherOwner = (before: Rows | undefined, now: Rows | undefined): boolean => {
  const [a, b] = [before?.at(-1), now?.at(-1)]
  return a?.digest !== b?.digest || a?.size !== b?.size || (a === undefined) !== (b === undefined)
}
