/**
 * Which backends there are.
 *
 * @since 0.1.0
 */
import { Context, Effect, type FileSystem, Layer, Result } from "effect"
import * as FileFleet from "../../../layers/fleet/FileFleet.ts"
import * as StaticFleet from "../../../layers/fleet/StaticFleet.ts"
import type { Settings } from "../../../layers/Settings.ts"
import { type Backend, Fleet, type FleetError } from "../../../services/Fleet.ts"

/** The backends, or why there are none. */
export interface FleetList {
  readonly backends: ReadonlyArray<Backend>
  readonly flaw: string | undefined
}

/** Where Ollama listens by default. */
const local = "http://127.0.0.1:11434"

/**
 * Those that are named to this command; else those of the settings, in the order in which the router looks for them;
 * else the Ollama of this machine.
 */
export const fleetList = (
  named: ReadonlyArray<string>,
  settings: Settings,
): Effect.Effect<FleetList, never, FileSystem.FileSystem> => {
  const limits = { parallelism: settings.parallelism, streamsMax: settings.streamsPerBackend }
  const listed = [
    named,
    settings.fleetFile === "" ? settings.backends : [],
    settings.ollamaHost === "" ? [] : [settings.ollamaHost],
    [local],
  ].find((urls) => urls.length > 0) ?? []
  const layer: Layer.Layer<Fleet, FleetError, FileSystem.FileSystem> = named.length === 0 && settings.fleetFile !== ""
    ? FileFleet.layer(settings.fleetFile, { backend: limits })
    : StaticFleet.layer(listed.map((url) => ({ url, ...limits })))
  return Layer.build(layer).pipe(
    Effect.map((built) => Context.get(built, Fleet).members().map(({ backend }) => backend)),
    Effect.scoped,
    Effect.result,
    Effect.map(Result.match({
      onSuccess: (backends) => ({ backends, flaw: undefined }),
      onFailure: ({ message }) => ({ backends: [], flaw: message }),
    })),
  )
}
