/** All that a server is told: settings from flags, a file and the environment, and the files that settings name. */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Effect, type FileSystem, Schema } from "effect"
import type * as PluginFiles from "../../layers/PluginFiles.ts"
import * as Settings from "../../layers/Settings.ts"
import * as Demo from "./demo.ts"
import * as File from "./file.ts"
import * as Files from "./files.ts"

/** What the process was started with. */
export interface Given {
  /** The texts of flags, by the names of their variables. */
  readonly flags: Readonly<Record<string, string>>
  readonly env: Readonly<Record<string, string | undefined>>
  /** Whether the fleet is to be a simulated one. */
  readonly demo: boolean
}

/** Something is wrong with settings, or with files that they name. */
export class SettingsWrong extends Schema.TaggedError<SettingsWrong>()("SettingsWrong", {
  flaws: Schema.Array(Schema.String),
}) {
  override get message(): string {
    return this.flaws.length === 1
      ? this.flaws[0]!
      : `${this.flaws.length} settings are wrong:\n  ${this.flaws.join("\n  ")}`
  }
}

/** Everything that was found, right or wrong. */
export interface Look {
  /** Settings that cannot be read have their defaults. */
  readonly settings: Settings.Settings
  readonly plugins: PluginFiles.Plugins
  readonly flaws: ReadonlyArray<Settings.Flaw>
  /** The settings that say which backends there are, as they were given. Empty: nothing was configured. */
  readonly named: ReadonlyArray<string>
  /** The files that were read, and that may change while the server runs. */
  readonly files: ReadonlyArray<string>
}

/** Whether something else is wrong with the setting of a flaw: then this one may only be a consequence. */
const isTold = (flaws: ReadonlyArray<Settings.Flaw>, flaw: string): boolean => {
  const name = flaw.slice(0, flaw.indexOf(":"))
  return flaws.some(({ message }) => message.startsWith(`${name}:`))
}

/** A configuration without flaws. */
export interface Configuration {
  readonly settings: Settings.Settings
  readonly plugins: PluginFiles.Plugins
  readonly named: ReadonlyArray<string>
  readonly demo: boolean
  /** Reads everything again, as it was read at the start: the settings as they would be now. */
  readonly read: Effect.Effect<Settings.Settings, SettingsWrong>
  /** The files that `read` reads. */
  readonly watched: ReadonlyArray<string>
}

const configName = Settings.variables.configFile.name

/** Where a file of settings is named, the strongest first. */
const fileNamed = ({ env, flags }: Given) => {
  const [flag, variable] = [flags[configName]?.trim(), env[configName]?.trim()]
  if (flag) return { path: flag, said: `--${Settings.flagOf(configName)}` }
  return variable ? { path: variable, said: configName } : undefined
}

/** Looks at everything that the process was given. */
export const look = Effect.fnUntraced(function* (given: Given): Effect.fn.Return<Look, never, FileSystem.FileSystem> {
  const file = yield* File.find(fileNamed(given))
  const sources = { flags: given.flags, file, env: given.env }
  const found = Settings.find(sources)
  const settings = given.demo ? Demo.settings(found.values) : found.values
  const { flaws, plugins } = yield* Files.look(settings)
  const { caFile, fleetFile, footprintsFile, keysFile } = settings
  const named = Settings.backendsGiven(sources)
  return {
    settings,
    plugins,
    flaws: [...found.flaws, ...flaws.filter((flaw) => !isTold(found.flaws, flaw)).map(found.located)],
    // Whoever writes a file of settings does not want made-up answers.
    named: named.length === 0 && file !== undefined ? [file.path] : named,
    files: [file?.path ?? "", fleetFile, keysFile, footprintsFile, caFile].filter((path) => path !== ""),
  }
})

/** The configuration of a process, if all of it is right. */
export const open = Effect.fnUntraced(function* (given: Given): Effect.fn.Return<Configuration, SettingsWrong> {
  const looked = Effect.flatMap(
    Effect.provide(look(given), NodeFileSystem.layer),
    (found) =>
      found.flaws.length === 0
        ? Effect.succeed(found)
        : Effect.fail(new SettingsWrong({ flaws: found.flaws.map(({ message }) => message) })),
  )
  const { files, named, plugins, settings } = yield* looked
  return {
    settings,
    plugins,
    named,
    demo: given.demo,
    read: Effect.map(looked, ({ settings }) => settings),
    watched: files,
  }
})
