/**
 * Keys from a file, read again whenever it changes.
 *
 * @since 0.1.0
 */
import { Duration, Effect, FileSystem, Layer } from "effect"
import { ApiKeys, ApiKeysError } from "../../services/ApiKeys.ts"
import { every } from "../../support/every.ts"
import * as File from "./file.ts"
import * as Table from "./table.ts"

/**
 * **Details**
 *
 * `{"keys": [{"id": "ci", "sha256": "…", "tenant": "build", "models": ["llama3.1:8b"], "requestsPerMinute": 60, "tokensPerMinute": 20000, "concurrent": 4,
 * "priority": "batch"}]}`; only `id` and `sha256` are needed. The hash of a key: `printf %s "$KEY" | sha256sum`.
 *
 * A changed file counts whole or not at all: with one fault in it the keys stay as they were, and the log says what the fault is. A file that is gone
 * changes nothing either. At the start either is an error. A key that is taken out is refused from the next request on; what is under way goes on.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (path: string, options?: {
  /** How often the file is looked at. Defaults to 2 seconds. */
  readonly interval?: Duration.Input | undefined
}): Layer.Layer<ApiKeys, ApiKeysError, FileSystem.FileSystem> =>
  Layer.effect(
    ApiKeys,
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const text = Effect.mapError(
        files.readFileString(path),
        () => new ApiKeysError({ description: `the file of API keys, ${path}, cannot be read` }),
      )
      const tableOf = (text: string): Effect.Effect<ApiKeys["Service"], ApiKeysError> => {
        const entries = File.read(text)
        return typeof entries === "string"
          ? Effect.fail(new ApiKeysError({ description: `the file of API keys, ${path}: ${entries}` }))
          : Effect.succeed(Table.make(entries))
      }
      let seen = yield* text
      let table = yield* tableOf(seen)
      const look = Effect.gen(function* () {
        const now = yield* text
        if (now === seen) return
        // Remembered first, so that a bad file is reported once and not at every look.
        seen = now
        table = yield* tableOf(now)
        yield* Effect.logInfo(`API keys read again: ${table.size()}`)
      }).pipe(Effect.catch(({ message }) => Effect.logError(`${message}; the keys stay as they were`)))
      yield* Effect.forkScoped(every(Duration.fromInputUnsafe(options?.interval ?? "2 seconds"), look))
      return ApiKeys.of({ find: (key) => table.find(key), size: () => table.size() })
    }),
  )
