/**
 * What a fleet file says.
 *
 * @since 0.1.0
 */
import { Effect, Schema } from "effect"
import type { Backend, BackendInput, FleetError } from "../../services/Fleet.ts"
import { checked, invalid } from "./members.ts"

const Entry = Schema.Union([
  Schema.String,
  Schema.Struct({
    url: Schema.String,
    id: Schema.optionalKey(Schema.String),
    labels: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
    parallelism: Schema.optionalKey(Schema.Number),
    streamsMax: Schema.optionalKey(Schema.Number),
    devices: Schema.optionalKey(Schema.Array(Schema.String)),
    weight: Schema.optionalKey(Schema.Number),
  }),
])

const Document = Schema.fromJsonString(Schema.Struct({ backends: Schema.Array(Entry) }))

// A field that is misspelt would be a setting that is silently not there.
const decode = Schema.decodeEffect(Document, { onExcessProperty: "error", errors: "first" })

/** What holds for every backend that does not say otherwise. @category models @since 0.1.0 */
export type Defaults = Omit<Exclude<BackendInput, string>, "url" | "id">

/** The backends of a file's text, all of them or none; `path` is for the error. @internal */
export const read = (
  path: string,
  text: string,
  defaults: Defaults = {},
): Effect.Effect<ReadonlyArray<Backend>, FleetError> =>
  decode(text).pipe(
    Effect.mapError((error) => invalid(String(error))),
    Effect.flatMap(({ backends }) =>
      checked(backends.map((entry) => ({ ...defaults, ...(typeof entry === "string" ? { url: entry } : entry) })))
    ),
    Effect.mapError((error) => invalid(`${path}: ${error.message}`)),
  )
