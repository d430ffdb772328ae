/**
 * Reads the text of a fleet file.
 *
 * @since 0.1.0
 */
import { Effect, Schema } from "effect"
import type { Backend, BackendInput, FleetError } from "../../services/Fleet.ts"
import { checked, invalid } from "./members.ts"

const FleetFileEntry = Schema.Union([
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

const Document = Schema.fromJsonString(Schema.Struct({ backends: Schema.Array(FleetFileEntry) }))

// An unknown field is an error: a misspelt field would silently have no effect.
const decode = Schema.decodeEffect(Document, { onExcessProperty: "error", errors: "first" })

/** Fields for the backends that do not set them. @category models @since 0.1.0 */
export type Defaults = Omit<Exclude<BackendInput, string>, "url" | "id">

/** All backends of a file's text, or the error, which names `path`. @internal */
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
