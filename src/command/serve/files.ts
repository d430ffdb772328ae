/** Reads the files that settings name before the server is built, so that everything that is wrong is told at once. */
import { Effect, FileSystem, Layer, Option } from "effect"
import process from "node:process"
import { pathToFileURL } from "node:url"
import * as FileFleet from "../../layers/fleet/FileFleet.ts"
import * as StaticFleet from "../../layers/fleet/StaticFleet.ts"
import * as FileApiKeys from "../../layers/keys/FileApiKeys.ts"
import * as LearnedModelFootprints from "../../layers/memory/footprint/LearnedModelFootprints.ts"
import * as PluginFiles from "../../layers/PluginFiles.ts"
import type { Settings } from "../../layers/Settings.ts"

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

/** The plugins of all files, or the flaws of each file. Files that are good alone may still not go together. */
const loaded = Effect.fnUntraced(function* ({ plugins: entries }: Settings) {
  const plugins = yield* Effect.option(PluginFiles.fromFiles(entries, folder))
  if (Option.isSome(plugins)) return { plugins: plugins.value, flaws: [] }
  const alone = yield* Effect.forEach(
    entries,
    (entry) => flawOf("LLAMERO_PLUGINS", PluginFiles.fromFiles([entry], folder)),
  )
  const flaws = alone.flat()
  return {
    plugins: yield* Effect.orDie(PluginFiles.fromFiles([], folder)),
    flaws: flaws.length > 0 ? flaws : yield* flawOf("LLAMERO_PLUGINS", PluginFiles.fromFiles(entries, folder)),
  }
})

/** The plugins, and everything that is wrong with the files: each flaw begins with the variable of its setting. */
export const look = Effect.fnUntraced(function* (
  settings: Settings,
): Effect.fn.Return<
  { readonly plugins: PluginFiles.Plugins; readonly flaws: ReadonlyArray<string> },
  never,
  FileSystem.FileSystem
> {
  const { backends, caFile, fleetFile, footprintsFile, keysFile, nvmlLibrary, vram } = settings
  const { flaws, plugins } = yield* loaded(settings)
  const found = yield* Effect.all([
    backends.length === 0 ? Effect.succeed([]) : builds("LLAMERO_BACKENDS", StaticFleet.layer(backends)),
    fleetFile === "" ? Effect.succeed([]) : builds("LLAMERO_FLEET_FILE", FileFleet.layer(fleetFile)),
    keysFile === "" ? Effect.succeed([]) : builds("LLAMERO_KEYS_FILE", FileApiKeys.layer(keysFile)),
    footprintsFile === ""
      ? Effect.succeed([])
      : flawOf("LLAMERO_FOOTPRINTS", LearnedModelFootprints.check(footprintsFile)),
    caFile === "" ? Effect.succeed([]) : isPem("LLAMERO_CA_FILE", caFile),
    vram && nvmlLibrary.includes("/") ? exists("LLAMERO_NVML_LIBRARY", nvmlLibrary) : Effect.succeed([]),
  ])
  return { plugins, flaws: [...found.flat(), ...flaws] }
})
