/**
 * Footprints that a deployer sets in a manifest file.
 *
 * @since 0.1.0
 */
import { ByteSize, Effect, Schema, SchemaTransformation } from "effect"
import {
  type Footprint,
  FootprintError,
  type FootprintParts,
  kvTypes,
  ManifestInvalid,
  type RunShape,
} from "../../../services/Footprint.ts"
import * as ModelName from "../../../services/ModelName.ts"
import { fromParts } from "./estimate.ts"

/** A number of bytes, or text with a unit: `"5 GiB"`. */
const Bytes = Schema.Union([
  Schema.Natural,
  Schema.ByteSizeFromString.pipe(
    Schema.decodeTo(
      Schema.Natural,
      SchemaTransformation.transform({ decode: ByteSize.toNumberUnsafe, encode: ByteSize.bytes }),
    ),
  ),
])

/**
 * A footprint, or parts of one, and the runs that it is for: those that match every given field of `backend`,
 * `context`, `parallelism` and `kvType`.
 *
 * @category models
 * @since 0.1.0
 */
export const Override = Schema.Struct({
  backend: Schema.optionalKey(Schema.String),
  context: Schema.optionalKey(Schema.Natural),
  parallelism: Schema.optionalKey(Schema.Natural),
  kvType: Schema.optionalKey(Schema.Literals(kvTypes)),
  /** All bytes on the devices that the model runs on. If it is given, the parts are ignored. */
  total: Schema.optionalKey(Bytes),
  weights: Schema.optionalKey(Bytes),
  kv: Schema.optionalKey(Bytes),
  recurrent: Schema.optionalKey(Bytes),
  compute: Schema.optionalKey(Bytes),
  projector: Schema.optionalKey(Bytes),
  overhead: Schema.optionalKey(Bytes),
})
/** @category models @since 0.1.0 */
export type Override = typeof Override.Type

/**
 * The content of the file: overrides by model.
 * `{ "models": { "llama3.1:8b": [{ "total": "7 GiB" }, { "context": 32768, "total": "11 GiB" }] } }`.
 *
 * @category models
 * @since 0.1.0
 */
export const Manifest = Schema.Struct({ models: Schema.Record(Schema.String, Schema.Array(Override)) })

/** Overrides by canonical key of the model. @category models @since 0.1.0 */
export type Overrides = ReadonlyMap<string, ReadonlyArray<Override>>

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Manifest), { onExcessProperty: "error" })

/**
 * Reads the content of the file. Different spellings of a model are one model. An unknown field is an error, because
 * a misspelt override would have no effect.
 *
 * @category constructors
 * @since 0.1.0
 */
export const parse = (text: string): Effect.Effect<Overrides, FootprintError> =>
  decode(text).pipe(
    Effect.mapError(({ message }) => new FootprintError({ reason: new ManifestInvalid({ description: message }) })),
    Effect.map(({ models }) => {
      const overrides = new Map<string, ReadonlyArray<Override>>()
      for (const [name, more] of Object.entries(models)) {
        const key = ModelName.canonical(name)
        overrides.set(key, [...overrides.get(key) ?? [], ...more])
      }
      return overrides
    }),
  )

const matches = (override: Override, backend: string, shape: RunShape): boolean =>
  (override.backend ?? backend) === backend &&
  (override.context ?? shape.context) === shape.context &&
  (override.parallelism ?? shape.parallelism) === shape.parallelism &&
  (override.kvType ?? shape.kvType) === shape.kvType

const withPart = (parts: FootprintParts, override: Override, shape: RunShape): FootprintParts => ({
  weights: override.weights === undefined
    ? parts.weights
    : shape.devices === 0
    ? { gpu: 0, cpu: override.weights }
    : { gpu: override.weights, cpu: parts.weights.cpu },
  kv: override.kv ?? parts.kv,
  recurrent: override.recurrent ?? parts.recurrent,
  compute: override.compute ?? parts.compute,
  projector: override.projector ?? parts.projector,
  overhead: override.overhead ?? parts.overhead,
})

/**
 * The footprint by the manifest; `undefined` if it has no override for this run. Later overrides replace earlier
 * ones. A given total needs no estimate and has no margin. Given parts replace those of the estimate, whose margin
 * then covers only the other parts.
 *
 * @category combinators
 * @since 0.1.0
 */
export const overridden = (
  overrides: Overrides,
  model: string,
  backend: string,
  shape: RunShape,
  estimated: Footprint | undefined,
): Footprint | undefined => {
  const found = (overrides.get(model) ?? []).filter((override) => matches(override, backend, shape))
  if (found.length === 0) return undefined
  const override = found.reduce((all, each) => ({ ...all, ...each }))
  if (override.total !== undefined) {
    return { parts: estimated?.parts, total: override.total, margin: 0, reserve: override.total, source: "manifest" }
  }
  if (estimated?.parts === undefined) return undefined
  const made = fromParts(withPart(estimated.parts, override, shape), shape, 0, "manifest")
  const certain = [
    override.weights,
    override.kv,
    override.recurrent,
    override.compute,
    override.projector,
    override.overhead,
  ]
    .reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0)
  const share = estimated.total === 0 ? 0 : estimated.margin / estimated.total
  const margin = Math.ceil(Math.max(0, made.total - certain) * share)
  return { ...made, margin, reserve: made.total + margin }
}
