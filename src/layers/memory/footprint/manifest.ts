/**
 * Footprints that a deployer pins in a file.
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

/** Bytes, or text with a unit: `"5 GiB"`. */
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
 * What is pinned, and for which runs: those that agree with everything of `backend`, `context`, `parallelism` and `kvType` that is given.
 *
 * @category models
 * @since 0.1.0
 */
export const Pin = Schema.Struct({
  backend: Schema.optionalKey(Schema.String),
  context: Schema.optionalKey(Schema.Natural),
  parallelism: Schema.optionalKey(Schema.Natural),
  kvType: Schema.optionalKey(Schema.Literals(kvTypes)),
  /** Bytes on the devices it runs on, all in all. The parts no longer matter then. */
  total: Schema.optionalKey(Bytes),
  weights: Schema.optionalKey(Bytes),
  kv: Schema.optionalKey(Bytes),
  recurrent: Schema.optionalKey(Bytes),
  compute: Schema.optionalKey(Bytes),
  projector: Schema.optionalKey(Bytes),
  overhead: Schema.optionalKey(Bytes),
})
/** @category models @since 0.1.0 */
export type Pin = typeof Pin.Type

/**
 * The file: pins by model. `{ "models": { "llama3.1:8b": [{ "total": "7 GiB" }, { "context": 32768, "total": "11 GiB" }] } }`.
 *
 * @category models
 * @since 0.1.0
 */
export const Manifest = Schema.Struct({ models: Schema.Record(Schema.String, Schema.Array(Pin)) })

/** Pins by canonical key. @category models @since 0.1.0 */
export type Pins = ReadonlyMap<string, ReadonlyArray<Pin>>

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Manifest), { onExcessProperty: "error" })

/**
 * Reads the file's content. Two spellings of a model are one; a field that is not known is an error, since a misspelt pin would silently pin nothing.
 *
 * @category constructors
 * @since 0.1.0
 */
export const parse = (text: string): Effect.Effect<Pins, FootprintError> =>
  decode(text).pipe(
    Effect.mapError(({ message }) => new FootprintError({ reason: new ManifestInvalid({ description: message }) })),
    Effect.map(({ models }) => {
      const pins = new Map<string, ReadonlyArray<Pin>>()
      for (const [name, more] of Object.entries(models)) {
        const key = ModelName.canonical(name)
        pins.set(key, [...pins.get(key) ?? [], ...more])
      }
      return pins
    }),
  )

const matches = (pin: Pin, backend: string, shape: RunShape): boolean =>
  (pin.backend ?? backend) === backend &&
  (pin.context ?? shape.context) === shape.context &&
  (pin.parallelism ?? shape.parallelism) === shape.parallelism &&
  (pin.kvType ?? shape.kvType) === shape.kvType

const withPart = (parts: FootprintParts, pin: Pin, shape: RunShape): FootprintParts => ({
  weights: pin.weights === undefined
    ? parts.weights
    : shape.devices === 0
    ? { gpu: 0, cpu: pin.weights }
    : { gpu: pin.weights, cpu: parts.weights.cpu },
  kv: pin.kv ?? parts.kv,
  recurrent: pin.recurrent ?? parts.recurrent,
  compute: pin.compute ?? parts.compute,
  projector: pin.projector ?? parts.projector,
  overhead: pin.overhead ?? parts.overhead,
})

/**
 * The footprint as pinned, if anything is pinned for this run: `undefined` otherwise. Later pins go before earlier ones. A pinned total needs no estimate and
 * has no margin; pinned parts replace those of the estimate, whose margin then only covers the others.
 *
 * @category combinators
 * @since 0.1.0
 */
export const pinned = (
  pins: Pins,
  model: string,
  backend: string,
  shape: RunShape,
  estimated: Footprint | undefined,
): Footprint | undefined => {
  const found = (pins.get(model) ?? []).filter((pin) => matches(pin, backend, shape))
  if (found.length === 0) return undefined
  const pin = found.reduce((all, each) => ({ ...all, ...each }))
  if (pin.total !== undefined) {
    return { parts: estimated?.parts, total: pin.total, margin: 0, reserve: pin.total, source: "manifest" }
  }
  if (estimated?.parts === undefined) return undefined
  const made = fromParts(withPart(estimated.parts, pin, shape), shape, 0, "manifest")
  const certain = [pin.weights, pin.kv, pin.recurrent, pin.compute, pin.projector, pin.overhead]
    .reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0)
  const share = estimated.total === 0 ? 0 : estimated.margin / estimated.total
  const margin = Math.ceil(Math.max(0, made.total - certain) * share)
  return { ...made, margin, reserve: made.total + margin }
}
