/**
 * The settings of the router, also where some of them are wrong.
 *
 * @since 0.1.0
 */
import { type Config, Effect, FileSystem, Result } from "effect"
import * as Settings from "../../../layers/Settings.ts"
import type { Observations } from "../observations.ts"

type Env = Readonly<Record<string, string | undefined>>

/** Each setting that can be read; the default of the others. */
const readable = (env: Env): Settings.Settings =>
  Object.fromEntries(
    Object.entries(Settings.variables).map(([key, { fallback, name, parse }]) => {
      const text = (env[name] ?? "").trim()
      return [key, text === "" ? fallback : parse(text) ?? fallback]
    }),
  ) as unknown as Settings.Settings

/** `explain` has a first line that counts them where there are several. */
const flawsOf = (error: Config.ConfigError): ReadonlyArray<string> => {
  const lines = Settings.explain(error).split("\n").map((line) => line.trim())
  return lines.length > 1 ? lines.slice(1) : lines
}

/** The settings, what is wrong with them, and the certificates in `LLAMERO_CA_FILE`. */
export const readSettings = (
  settings: Effect.Effect<Settings.Settings, Config.ConfigError>,
  env: Env,
): Effect.Effect<
  Observations["settings"] & { readonly ca: string | undefined },
  never,
  FileSystem.FileSystem
> =>
  Effect.gen(function* () {
    const read = yield* Effect.result(settings)
    const values = Result.isSuccess(read) ? read.success : readable(env)
    const flaws = Result.isSuccess(read) ? [] : flawsOf(read.failure)
    if (values.caFile === "") return { values, flaws, ca: undefined }
    const files = yield* FileSystem.FileSystem
    const ca = yield* Effect.result(files.readFileString(values.caFile))
    return Result.isSuccess(ca)
      ? { values, flaws, ca: ca.success }
      : { values, flaws: [...flaws, `LLAMERO_CA_FILE: ${values.caFile} cannot be read`], ca: undefined }
  })
