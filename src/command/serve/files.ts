/** Reads the files that settings name before the server is built, so that everything that is wrong is told at once. */
import { Effect, FileSystem, Layer, Schema } from "effect"
import process from "node:process"
import { pathToFileURL } from "node:url"
import * as FileFleet from "../../layers/fleet/FileFleet.ts"
import * as StaticFleet from "../../layers/fleet/StaticFleet.ts"
import * as FileApiKeys from "../../layers/keys/FileApiKeys.ts"
import * as LearnedModelFootprints from "../../layers/memory/footprint/LearnedModelFootprints.ts"
import * as PluginFiles from "../../layers/PluginFiles.ts"
import type { Settings } from "../../layers/Settings.ts"

/** What is wrong with files, or with what they hold; each flaw begins with the setting. */
export class FilesWrong extends Schema.TaggedError<FilesWrong>()("FilesWrong", { flaws: Schema.Array(Schema.String) }) {
  override get message(): string {
    return this.flaws.length === 1
      ? this.flaws[0]!
      : `${this.flaws.length} settings are wrong:\n  ${this.flaws.join("\n  ")}`
  }
}

/** No flaw, or the one that the error of an effect is. */
const flawOf = <A, R>(setting: string, check: Effect.Effect<A, { readonly message: string }, R>) =>
  Effect.match(check, {
    onFailure: ({ message }) => [`${setting}: ${message.replaceAll(/\s*\n\s*/g, " ")}`],
    onSuccess: () => [],
  })

const builds = <A, R>(setting: string, layer: Layer.Layer<A, { readonly message: string }, R>) =>
  flawOf(setting, Effect.scoped(Layer.build(layer)))

const exists = (setting: string, path: string) =>
  Effect.map(
    Effect.orElseSucceed(FileSystem.FileSystem.use((files) => files.exists(path)), () => false),
    (found) => found ? [] : [`${setting}: there is no file ${path}`],
  )

const isPem = (setting: string, path: string) =>
  flawOf(
    setting,
    Effect.flatMap(
      FileSystem.FileSystem.use((files) => files.readFileString(path)),
      (text) =>
        text.includes("-----BEGIN CERTIFICATE-----")
          ? Effect.void
          : Effect.fail(new Error(`${path} has no certificate`)),
    ),
  )

const folder = pathToFileURL(`${process.cwd()}/`).href

/** The flaws of each plugin file. Files that are good alone may still not go together. */
const pluginFlaws = ({ plugins }: Settings) =>
  Effect.gen(function* () {
    const alone = yield* Effect.forEach(
      plugins,
      (entry) => flawOf("LLAMERO_PLUGINS", PluginFiles.fromFiles([entry], folder)),
    )
    const flaws = alone.flat()
    return flaws.length > 0 ? flaws : yield* flawOf("LLAMERO_PLUGINS", PluginFiles.fromFiles(plugins, folder))
  })

/** The plugins, when all files are good. */
export const checked = (
  settings: Settings,
): Effect.Effect<PluginFiles.Plugins, FilesWrong, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const { backends, caFile, fleetFile, footprintsFile, keysFile, nvmlLibrary, vram } = settings
    const loaded = yield* Effect.option(PluginFiles.fromFiles(settings.plugins, folder))
    const found = yield* Effect.all([
      backends.length === 0 ? Effect.succeed([]) : builds("LLAMERO_BACKENDS", StaticFleet.layer(backends)),
      fleetFile === "" ? Effect.succeed([]) : builds("LLAMERO_FLEET_FILE", FileFleet.layer(fleetFile)),
      keysFile === "" ? Effect.succeed([]) : builds("LLAMERO_KEYS_FILE", FileApiKeys.layer(keysFile)),
      footprintsFile === ""
        ? Effect.succeed([])
        : flawOf("LLAMERO_FOOTPRINTS", LearnedModelFootprints.check(footprintsFile)),
      caFile === "" ? Effect.succeed([]) : isPem("LLAMERO_CA_FILE", caFile),
      vram && nvmlLibrary.includes("/") ? exists("LLAMERO_NVML_LIBRARY", nvmlLibrary) : Effect.succeed([]),
      loaded._tag === "None" ? pluginFlaws(settings) : Effect.succeed([]),
    ])
    const flaws = found.flat()
    return loaded._tag === "Some" && flaws.length === 0 ? loaded.value : yield* new FilesWrong({ flaws })
  })
