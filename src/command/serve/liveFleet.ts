/** The fleet of a server: the backends that settings name, with the fields that settings give. */
import { Effect, type FileSystem, type Layer } from "effect"
import * as FileFleet from "../../layers/fleet/FileFleet.ts"
import * as ReplaceableFleet from "../../layers/fleet/ReplaceableFleet.ts"
import type { Settings } from "../../layers/Settings.ts"
import { type BackendInput, type Fleet, FleetError, InvalidFleet } from "../../services/Fleet.ts"
import type { GpuProbe } from "../../services/GpuProbe.ts"
import type { OllamaApi } from "../../services/OllamaApi.ts"
import type { Transport } from "../../services/Transport.ts"

/** What every backend of the settings gets. */
export const limits = ({ parallelism, streamsPerBackend }: Settings) => ({
  parallelism,
  streamsMax: streamsPerBackend,
})

export type Source = Effect.Effect<FileFleet.Read, FleetError>

/** The fleet that was chosen at the start. */
export interface Place {
  readonly layer: Layer.Layer<Fleet | GpuProbe | OllamaApi | Transport, FleetError>
  readonly fleet: ReplaceableFleet.ReplaceableFleet
  /** The backends of other settings; fails where they need another place, and so a restart. */
  readonly source: (settings: Settings) => Source
  /** The backends at first. */
  readonly first: Effect.Success<Source>
  /** Describes the fleet in the banner. */
  readonly says: string
  /** A model for the command in the banner. */
  readonly model: string
  /** Whether the answers are made up. */
  readonly simulated: boolean
}

export const listed = (settings: Settings, ...inputs: ReadonlyArray<Exclude<BackendInput, string>>): Source =>
  Effect.map(
    ReplaceableFleet.backends(inputs.map((input) => ({ ...limits(settings), ...input }))),
    (backends) => ({ backends, again: undefined }),
  )

/** The backends that the settings name; `undefined` where they name none. */
export const named = (settings: Settings, files: Layer.Layer<FileSystem.FileSystem>): Source | undefined => {
  const { backends, fleetFile, ollamaHost } = settings
  if (backends.length > 0) return listed(settings, ...backends.map((url) => ({ url })))
  if (fleetFile !== "") return Effect.provide(FileFleet.read(fleetFile, limits(settings)), files)
  return ollamaHost === "" ? undefined : listed(settings, { url: ollamaHost })
}

/** The settings lead to another kind of place. */
export const elsewhere = (description: string): Source =>
  Effect.fail(new FleetError({ reason: new InvalidFleet({ description }) }))
