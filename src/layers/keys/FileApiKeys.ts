/**
 * API keys from a file, which is read again when it changes.
 *
 * @since 0.1.0
 */
import { Duration, Effect, FileSystem, Layer } from "effect"
import { ApiKeys, ApiKeysError } from "../../services/ApiKeys.ts"
import { every } from "../../support/every.ts"
import * as Outage from "../../support/outage.ts"
import * as File from "./file.ts"
import * as Table from "./table.ts"

/** The keys that a file has, and its text. @category models @since 0.1.0 */
export interface Read {
  readonly keys: ApiKeys["Service"]
  readonly text: string
}

/** Reads a file of keys once. @category constructors @since 0.1.0 */
export const read = (path: string): Effect.Effect<Read, ApiKeysError, FileSystem.FileSystem> =>
  Effect.flatMap(textOf(path), (text) => Effect.map(tableOf(path, text), (keys) => ({ keys, text })))

const textOf = (path: string): Effect.Effect<string, ApiKeysError, FileSystem.FileSystem> =>
  Effect.mapError(
    FileSystem.FileSystem.use((files) => files.readFileString(path)),
    () => new ApiKeysError({ description: `the file of API keys, ${path}, cannot be read` }),
  )

const tableOf = (path: string, text: string): Effect.Effect<ApiKeys["Service"], ApiKeysError> => {
  const entries = File.read(text)
  return typeof entries === "string"
    ? Effect.fail(new ApiKeysError({ description: `the file of API keys, ${path}: ${entries}` }))
    : Effect.succeed(Table.make(entries))
}

/**
 * The keys in the file at `path`.
 *
 * **Details**
 *
 * The file is JSON. Only `id` and `sha256` are required:
 *
 * ```json
 * {"keys": [{"id": "ci", "sha256": "…", "tenant": "build", "models": ["llama3.1:8b"], "requestsPerMinute": 60,
 *   "tokensPerMinute": 20000, "concurrent": 4, "priority": "batch"}]}
 * ```
 *
 * The hash of a key: `printf %s "$KEY" | sha256sum`.
 *
 * A changed file takes effect as a whole or not at all. When the file has a fault or cannot be read, the keys stay as
 * they were, and the log says so: once when it begins, once when it is over. When the layer is built, the same is an
 * `ApiKeysError`. A key that is removed from the file is refused from the next request on; its running requests finish.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (path: string, options?: {
  /** Time between two looks at the file. Defaults to 2 seconds. */
  readonly interval?: Duration.Input | undefined
}): Layer.Layer<ApiKeys, ApiKeysError, FileSystem.FileSystem> =>
  Layer.effect(
    ApiKeys,
    Effect.gen(function* () {
      const text = Effect.provideService(textOf(path), FileSystem.FileSystem, yield* FileSystem.FileSystem)
      let seen = yield* text
      let table = yield* tableOf(path, seen)
      const outage = Outage.make()
      const again = Effect.suspend(() => Effect.logInfo(`API keys read again: ${table.size()}`))
      const reload = Effect.gen(function* () {
        const now = yield* text
        if (now === seen && !outage.lasts()) return false
        table = yield* tableOf(path, now)
        seen = now
        yield* outage.ends()
        yield* again
        return true
      }).pipe(
        Effect.tapError(({ message }) =>
          outage.begins(message, Effect.logError(`${message}; the keys stay as they were`))
        ),
      )
      const look = Effect.ignore(reload)
      yield* Effect.forkScoped(every(Duration.fromInputUnsafe(options?.interval ?? "2 seconds"), look))
      return ApiKeys.of({
        find: (key) => table.find(key),
        named: (id) => table.named(id),
        size: () => table.size(),
        reload,
      })
    }),
  )
