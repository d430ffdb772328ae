/** A server's settings, fleet and keys that a test reads again: the environment and the files are variables. */
import { Context, Effect, FileSystem, Layer, PlatformError } from "effect"
import { FetchHttpClient } from "effect/http"
import * as Place from "../../../src/command/serve/place.ts"
import { placing } from "../../../src/command/serve/placing.ts"
import * as Reload from "../../../src/command/serve/reload.ts"
import * as NoGpuProbe from "../../../src/layers/gpu/NoGpuProbe.ts"
import * as FileApiKeys from "../../../src/layers/keys/FileApiKeys.ts"
import * as Settings from "../../../src/layers/Settings.ts"
import * as FetchTransport from "../../../src/layers/transport/FetchTransport.ts"
import { Fleet } from "../../../src/services/Fleet.ts"

export type Env = Readonly<Record<string, string>>

/** What a test changes. A file that is missing has no text. */
export interface World {
  env: Env
  files: Readonly<Record<string, string>>
  /** Called after a file was read. */
  onRead?: (path: string) => void
}

const missing = PlatformError.systemError({ _tag: "NotFound", module: "FileSystem", method: "readFileString" })

export const filesOf = (world: World): Layer.Layer<FileSystem.FileSystem> =>
  FileSystem.layerNoop({
    readFileString: (path) =>
      Effect.suspend(() => {
        const text = world.files[path]
        world.onRead?.(path)
        return text === undefined ? Effect.fail(missing) : Effect.succeed(text)
      }),
  })

export const sha256 = (digit: string): string => digit.repeat(64)

/** The text of a file of keys, one for each hex digit. */
export const keysOf = (...digits: ReadonlyArray<string>): string =>
  JSON.stringify({ keys: digits.map((digit) => ({ id: `key-${digit}`, sha256: sha256(digit) })) })

export const fleetOf = (...backends: ReadonlyArray<unknown>): string => JSON.stringify({ backends })

/** A server that was started with this world. `adjust` changes what `read` gives. */
export const started = Effect.fnUntraced(function* (
  world: World,
  adjust: (settings: Settings.Settings) => Settings.Settings = (settings) => settings,
  watched: ReadonlyArray<string> = [],
) {
  const files = filesOf(world)
  const reach = { transport: FetchTransport.layer(), client: FetchHttpClient.layer, files, gpus: NoGpuProbe.layer }
  const read = Effect.suspend(() =>
    Effect.mapBoth(Settings.fromEnv(world.env), {
      onFailure: (error) => ({ message: Settings.explain(error) }),
      onSuccess: adjust,
    })
  )
  const settings = yield* read
  const place = yield* Place.choose(settings, reach, { named: [] })
  const choices = placing(settings)
  if (settings.keysFile !== "") {
    choices.running.keys.set(yield* Effect.provide(FileApiKeys.read(settings.keysFile), files))
  }
  const reloading = Reload.make({ read, watched, placing: choices, place, files })
  const fleet = Context.get(yield* Layer.build(place.fleet.layer), Fleet)
  return { reloading, running: choices.running, choices, fleet, files }
})

export type Started = Effect.Success<ReturnType<typeof started>>

/** Everything that a reload replaces, as the server has it now. */
export const now = ({ choices, fleet, running }: Started) => ({
  settings: running.settings.now,
  scorers: choices.profile.now.scorers.map(({ scorer, weight }) => [scorer.name, weight] as const),
  picker: choices.profile.now.picker.name,
  fleet: fleet.members().map(({ backend }) => [backend.id, backend.url, backend.parallelism, backend.streamsMax]),
  keys: ["a", "b", "c"].filter((digit) => running.keys.now.keys.named(`key-${digit}`) !== undefined),
  level: choices.log.level(),
  decisions: choices.decisions.now !== undefined,
  guardsOff: choices.guards.map(({ isOff, name }) => [name, isOff?.()]),
})
