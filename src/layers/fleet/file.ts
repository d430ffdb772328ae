/**
 * Reads the text of a fleet file.
 *
 * @since 0.1.0
 */
import { Config, Effect, FileSystem, Redacted, Schema } from "effect"
import { withoutPasswords } from "../../services/BackendAccess.ts"
import type { Backend, BackendInput, FleetError } from "../../services/Fleet.ts"
import { checked, invalid } from "./members.ts"

/** A secret: as it is, or the name of an environment variable or the path of a file that has it. */
const SecretEntry = Schema.Union([
  Schema.String,
  Schema.Struct({ env: Schema.String }),
  Schema.Struct({ file: Schema.String }),
])
type SecretEntry = typeof SecretEntry.Type

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
    price: Schema.optionalKey(Schema.Number),
    models: Schema.optionalKey(Schema.Array(Schema.String)),
    token: Schema.optionalKey(SecretEntry),
    headers: Schema.optionalKey(Schema.Record(Schema.String, SecretEntry)),
    caFile: Schema.optionalKey(Schema.String),
  }),
])
type FleetFileEntry = typeof FleetFileEntry.Type

/** The backends as the file has them, with their secrets not yet looked up. @internal */
export type Entries = ReadonlyArray<FleetFileEntry>

const Document = Schema.fromJsonString(Schema.Struct({
  backends: Schema.Array(FleetFileEntry),
  /** Models that every backend is to have, besides its own ones. */
  models: Schema.optionalKey(Schema.Array(Schema.String)),
}))

// An unknown field is an error: a misspelt field would silently have no effect. Such errors do not show values, which
// may be secrets.
const decode = Schema.decodeEffect(Document, { onExcessProperty: "error", errors: "first" })

/** Fields for the backends that do not set them. @category models @since 0.1.0 */
export type Defaults = Omit<Exclude<BackendInput, string>, "url" | "id">

const at = (path: string) => (error: { readonly message: string }): FleetError => invalid(`${path}: ${error.message}`)

const withModels = ({ backends, models }: typeof Document.Type): Entries =>
  models === undefined ? backends : backends.map((entry) => {
    const own: Exclude<FleetFileEntry, string> = typeof entry === "string" ? { url: entry } : entry
    return { ...own, models: [...models, ...(own.models ?? [])] }
  })

/** The entries of a file's text, or the error, which names `path`. @internal */
export const parse = (path: string, text: string): Effect.Effect<Entries, FleetError> =>
  decode(text).pipe(
    Effect.map(withModels),
    Effect.mapError((error) => at(path)({ message: String(error) })),
  )

/** The text of a secret. An empty one is an error: a file that is being written must not become the token. */
const lookUp = Effect.fnUntraced(function* (what: string, entry: SecretEntry) {
  if (typeof entry === "string") return entry
  if ("env" in entry) {
    const found = (yield* Effect.orElseSucceed(Config.String(entry.env), () => "")).trim()
    return found === "" ? yield* invalid(`${what}: the environment variable ${entry.env} is not set`) : found
  }
  const files = yield* FileSystem.FileSystem
  const found = yield* Effect.mapError(files.readFileString(entry.file), at(`${what}: ${entry.file}`))
  return found.trim() === "" ? yield* invalid(`${what}: the file ${entry.file} is empty`) : found.trim()
})

const inputOf = Effect.fnUntraced(function* (entry: FleetFileEntry) {
  if (typeof entry === "string") return { url: entry }
  const { caFile, headers, token, ...plain } = entry
  const name = JSON.stringify(entry.id ?? withoutPasswords(entry.url))
  const secret = (what: string, entry: SecretEntry) => Effect.map(lookUp(`${what} of ${name}`, entry), Redacted.make)
  const found: Record<string, Redacted.Redacted<string>> = {}
  for (const [header, entry] of Object.entries(headers ?? {})) found[header] = yield* secret(`header ${header}`, entry)
  return {
    ...plain,
    ...(headers === undefined ? {} : { headers: found }),
    ...(token === undefined ? {} : { token: yield* secret("token", token) }),
    ...(caFile === undefined ? {} : { ca: yield* lookUp(`caFile of ${name}`, { file: caFile }) }),
  }
})

/** The backends of a file's entries, or the error, which names `path`. @internal */
export const backends = (
  path: string,
  entries: Entries,
  defaults: Defaults = {},
): Effect.Effect<ReadonlyArray<Backend>, FleetError, FileSystem.FileSystem> =>
  Effect.forEach(entries, inputOf).pipe(
    Effect.flatMap((inputs) => checked(inputs.map((input) => ({ ...defaults, ...input })))),
    Effect.mapError(at(path)),
  )

/** Whether something of the entries is in other files, which can change while this one does not. @internal */
export const hasFiles = (entries: Entries): boolean =>
  entries.some((entry) =>
    typeof entry !== "string" &&
    (entry.caFile !== undefined ||
      [entry.token, ...Object.values(entry.headers ?? {})].some((one) => typeof one === "object" && "file" in one))
  )
