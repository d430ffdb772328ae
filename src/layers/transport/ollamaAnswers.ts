/**
 * Decodes the answers of Ollama servers of any version.
 *
 * @since 0.1.0
 */
import { Option, Predicate, Result, Schema } from "effect"
import { PsModel, ShowModel, TagsModel } from "../../services/OllamaApi.ts"

/**
 * The optional fields of `TagsModel` and `PsModel`. They are dropped when one has an unexpected type: a bad detail must
 * not hide a model.
 */
const optional = {
  tags: ["details", "capabilities", "modified_at", "remote_model", "remote_host"],
  ps: ["details", "context_length"],
} as const

const decodeTags = Schema.decodeUnknownOption(TagsModel)
const decodePs = Schema.decodeUnknownOption(PsModel)
const decodeShow = Schema.decodeUnknownOption(ShowModel)

const without = (row: Readonly<Record<string, unknown>>, keys: ReadonlyArray<string>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(row).filter(([key, value]) => value !== null && !keys.includes(key)))

const rows = <A>(
  body: unknown,
  complete: (row: Readonly<Record<string, unknown>>) => Record<string, unknown>,
  decode: (row: unknown) => Option.Option<A>,
  drop: ReadonlyArray<string>,
): Result.Result<ReadonlyArray<A>, string> => {
  if (!Predicate.isObject(body)) return Result.fail("the answer is not a JSON object")
  // Go writes a nil slice as `null`.
  const list = Predicate.hasProperty(body, "models") ? body.models ?? [] : []
  if (!Array.isArray(list)) return Result.fail("`models` is not a list")
  const read: Array<A> = []
  for (const row of list as ReadonlyArray<unknown>) {
    if (!Predicate.isObject(row)) continue
    const filled = complete(without(row as Record<string, unknown>, []))
    const model = Option.orElse(decode(filled), () => decode(without(filled, drop)))
    if (Option.isSome(model)) read.push(model.value)
  }
  return Result.succeed(read)
}

/** Old servers send only one of the two fields. */
const named = (row: Readonly<Record<string, unknown>>) => ({
  name: row["name"] ?? row["model"],
  model: row["model"] ?? row["name"],
})

/**
 * The rows of `/api/tags`. A row without a name is left out. A missing digest becomes the empty string.
 *
 * @category decoding
 * @since 0.1.0
 */
export const tags = (body: unknown): Result.Result<ReadonlyArray<TagsModel>, string> =>
  rows(body, (row) => ({ size: 0, digest: "", ...row, ...named(row) }), decodeTags, optional.tags)

/**
 * The rows of `/api/ps`. A model without `size_vram` counts as fully on the GPU: a spill is reported only when Ollama
 * says so.
 *
 * @category decoding
 * @since 0.1.0
 */
export const ps = (body: unknown): Result.Result<ReadonlyArray<PsModel>, string> =>
  rows(
    body,
    (row) => ({ size: 0, size_vram: row["size"] ?? 0, digest: "", expires_at: "", ...row, ...named(row) }),
    decodePs,
    optional.ps,
  )

/** The answer of `/api/show`. @category decoding @since 0.1.0 */
export const show = (body: unknown): Result.Result<ShowModel, string> => {
  if (!Predicate.isObject(body)) return Result.fail("the answer is not a JSON object")
  const filled = without(body as Record<string, unknown>, [])
  return Option.match(
    Option.orElse(
      decodeShow(filled),
      () => decodeShow(without(filled, ["details", "model_info", "projector_info", "tensors"])),
    ),
    {
      onNone: () => Result.fail("not a description of a model"),
      onSome: Result.succeed,
    },
  )
}

/** The version in the answer of `/api/version`. @category decoding @since 0.1.0 */
export const version = (body: unknown): Result.Result<string, string> =>
  Predicate.hasProperty(body, "version") && typeof body.version === "string"
    ? Result.succeed(body.version)
    : Result.fail("the answer has no version")

/**
 * The text of an error answer: its field `error`, or else the first 200 characters of the body, or else the status.
 *
 * @category decoding
 * @since 0.1.0
 */
export const errorText = (status: number, text: string): string => {
  const body = Option.getOrUndefined(Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Unknown))(text))
  if (Predicate.hasProperty(body, "error") && typeof body.error === "string") return body.error
  return text.trim().slice(0, 200) || `HTTP status ${status}`
}
