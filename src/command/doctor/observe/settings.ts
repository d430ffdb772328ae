/**
 * The settings of the router, from a file and the environment, also where some of them are wrong.
 *
 * @since 0.1.0
 */
import { Effect, FileSystem, Result } from "effect"
import * as Settings from "../../../layers/Settings.ts"
import * as File from "../../serve/file.ts"
import type { Observations } from "../observations.ts"

type Env = Readonly<Record<string, string | undefined>>

const configName = Settings.variables.configFile.name

/** Where a file of settings is named. */
const named = (config: string | undefined, env: Env) => {
  if (config !== undefined) return { path: config, said: "--config" }
  const path = env[configName]?.trim() ?? ""
  return path === "" ? undefined : { path, said: configName }
}

/** The settings as `llamero serve` would have them, what is wrong with them, and the text of `LLAMERO_CA_FILE`. */
export const readSettings = (config: string | undefined, env: Env): Effect.Effect<
  Observations["settings"] & { readonly ca: string | undefined },
  never,
  FileSystem.FileSystem
> =>
  Effect.gen(function* () {
    const file = yield* File.find(named(config, env))
    const { flaws: found, located, values } = Settings.find({ env, file })
    const flaws = found.map(({ message }) => message)
    if (values.caFile === "") return { values, flaws, ca: undefined }
    const files = yield* FileSystem.FileSystem
    const ca = yield* Effect.result(files.readFileString(values.caFile))
    if (Result.isSuccess(ca)) return { values, flaws, ca: ca.success }
    const flaw = located(`${Settings.variables.caFile.name}: ${values.caFile} cannot be read`)
    return { values, flaws: [...flaws, flaw.message], ca: undefined }
  })
