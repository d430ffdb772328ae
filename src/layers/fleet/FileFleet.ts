/**
 * The fleet in a file, which is read again when it changes.
 *
 * @since 0.1.0
 */
import { Duration, Effect, FileSystem, Layer, Result } from "effect"
import { type Backend, Fleet, FleetError, InvalidFleet } from "../../services/Fleet.ts"
import { every } from "../../support/every.ts"
import * as Outage from "../../support/outage.ts"
import * as File from "./file.ts"
import * as Members from "./members.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Time between two looks at the file. Defaults to 1 second. */
  readonly interval?: Duration.Input | undefined
  /** Fields for the backends that do not set them. Defaults to the defaults of `Backend`. */
  readonly backend?: File.Defaults | undefined
}

const textOf = (path: string) =>
  Effect.mapError(
    FileSystem.FileSystem.use((files) => files.readFileString(path)),
    (error) => new FleetError({ reason: new InvalidFleet({ description: `${path}: ${error.message}` }) }),
  )

/** What a fleet file says. @category models @since 0.1.0 */
export interface Read {
  readonly backends: ReadonlyArray<Backend>
  /**
   * The same backends with their tokens, headers and authorities looked up again. `undefined` where no file besides the
   * fleet file has any of them.
   */
  readonly again: Effect.Effect<ReadonlyArray<Backend>, FleetError> | undefined
}

/**
 * Reads a fleet file once. `backend`: fields for the backends that do not set them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const read: (
  path: string,
  backend?: File.Defaults,
) => Effect.Effect<Read, FleetError, FileSystem.FileSystem> = Effect.fnUntraced(function* (
  path: string,
  backend?: File.Defaults,
) {
  const entries = yield* Effect.flatMap(textOf(path), (text) => File.parse(path, text))
  const context = yield* Effect.context<FileSystem.FileSystem>()
  const found = Effect.provideContext(File.backends(path, entries, backend), context)
  return { backends: yield* found, again: File.hasFiles(entries) ? found : undefined }
})

const make = Effect.fnUntraced(function* (path: string, options?: Options) {
  const files = yield* FileSystem.FileSystem
  const text = Effect.provideService(textOf(path), FileSystem.FileSystem, files)
  let seen = yield* text
  let entries = yield* File.parse(path, seen)
  const backends = Effect.suspend(() => File.backends(path, entries, options?.backend)).pipe(
    Effect.provideService(FileSystem.FileSystem, files),
  )
  const { fleet, replace } = yield* Effect.flatMap(backends, Members.make)
  const outage = Outage.make()

  /** The entries of the file, the same ones while its text is the same. */
  const latest = Effect.flatMap(
    text,
    (now) =>
      now === seen && !outage.lasts()
        ? Effect.succeed(entries)
        : Effect.tap(File.parse(path, now), () => Effect.sync(() => seen = now)),
  )

  const reload = Effect.gen(function* () {
    const found = yield* Effect.result(latest)
    if (Result.isSuccess(found)) {
      if (found.success === entries && !File.hasFiles(entries)) return false
      entries = found.success
    }
    // Also while the fleet file is bad, since the tokens of the old entries may have changed.
    const changed = yield* Effect.flatMap(backends, replace)
    if (Result.isFailure(found)) return yield* found.failure
    if (outage.lasts() || changed) yield* Effect.logInfo(`fleet: ${fleet.members().length} backends in ${path}`)
    yield* outage.ends()
    return changed
  }).pipe(
    Effect.tapError(({ message }) => outage.begins(message, Effect.logError(`fleet unchanged: ${message}`))),
  )
  yield* Effect.forkScoped(every(Duration.fromInputUnsafe(options?.interval ?? "1 second"), Effect.ignore(reload)))
  return Fleet.of({ ...fleet, reload })
})

/**
 * A fleet from a JSON file, whose backends are URLs or have the fields of `Backend`:
 *
 * ```json
 * { "backends": ["http://10.0.0.4:11434", { "url": "http://10.0.0.5:11434", "id": "big", "weight": 2, "price": 1.5 }] }
 * ```
 *
 * A backend behind authentication has a user in its URL (`https://user:password@host`, HTTP Basic), or a `token` (sent
 * as `Authorization: Bearer`), or `headers`. A token or a header is a text, or `{ "env": "NAME" }`, or
 * `{ "file": "/path" }`. `caFile` names a PEM file of authorities that may have signed its certificate:
 *
 * ```json
 * {
 *   "backends": [
 *     { "url": "https://gpu.example", "token": { "file": "/run/secrets/ollama" }, "caFile": "/etc/ca.pem" },
 *     { "url": "https://b.example", "headers": { "X-Api-Key": { "env": "B_KEY" } } }
 *   ]
 * }
 * ```
 *
 * `models` beside `backends` names models that every backend is to have on its disk, and `models` of a backend those
 * that it is to have besides. `llamero sync` pulls what is missing; the router itself only checks the names:
 *
 * ```json
 * {
 *   "models": ["nomic-embed-text"],
 *   "backends": ["http://10.0.0.4:11434", { "url": "http://10.0.0.5:11434", "models": ["qwen3:32b"] }]
 * }
 * ```
 *
 * **Details**
 *
 * The text of the file is compared, and not its date, so that a mounted Kubernetes ConfigMap works too. A change takes
 * effect as a whole or not at all. A file that cannot be read, is not JSON, has an unknown field, or names two backends
 * with one id or URL changes nothing, and the log says why. A backend that is gone gets no new requests and finishes
 * those it has. When the layer is built, a bad file is a `FleetError`.
 *
 * Files of tokens, headers and authorities are read at each look, so that a rotated token is sent from then on, also by
 * probes. While such a file is missing or empty, the last value stays, and the log says why. No value of a token, of a
 * header or of a password appears in a log or an error.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (path: string, options?: Options): Layer.Layer<Fleet, FleetError, FileSystem.FileSystem> =>
  Layer.effect(Fleet, make(path, options))
