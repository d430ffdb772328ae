/**
 * The parts of a running server that a reload replaces: the settings that can change, the fleet and the keys. All of
 * them are read and checked before one of them changes.
 */
import { Effect, type FileSystem, type Layer } from "effect"
import type * as FileFleet from "../../layers/fleet/FileFleet.ts"
import * as FileApiKeys from "../../layers/keys/FileApiKeys.ts"
import type { Settings } from "../../layers/Settings.ts"
import type { Place } from "./place.ts"
import type { Placing } from "./placing.ts"
import * as Checks from "./reloadChecks.ts"
import { contents } from "./reloadFiles.ts"

export interface Options {
  /** The settings again, from wherever they came at the start. Its message has a line for everything that is wrong. */
  readonly read: Effect.Effect<Settings, { readonly message: string }>
  /** The files that `read` reads. */
  readonly watched: ReadonlyArray<string>
  readonly placing: Pick<Placing, "log" | "running">
  readonly place: Pick<Place, "first" | "fleet" | "source">
  readonly files: Layer.Layer<FileSystem.FileSystem>
}

/** What a reload has changed. */
export interface Reloaded {
  /** Names of the settings with a new value. */
  readonly settings: ReadonlyArray<string>
  readonly fleet: boolean
  /** `undefined` where there is no file of keys. */
  readonly keys: boolean | undefined
}

/** In words, for logs. */
export const told = ({ fleet, keys, settings }: Reloaded): string => {
  const changed = [...settings, ...(fleet ? ["fleet"] : []), ...(keys === true ? ["keys"] : [])]
  return changed.length === 0 ? "nothing has changed" : changed.join(", ")
}

/** What was read and found right. */
interface Checked {
  readonly settings: Settings
  readonly fleet: FileFleet.Read
  readonly keys: FileApiKeys.Read | undefined
}

/** How often the files are read when they change meanwhile. */
const readsMax = 5

const pathsOf = ({ fleetFile, keysFile }: Settings) => [fleetFile, keysFile].filter((path) => path !== "")

/** What is in use, and how it is replaced. */
export class Parts {
  readonly options: Options
  private source: FileFleet.Read
  /** The settings that were read last. */
  private latest: Settings

  constructor(options: Options) {
    this.options = options
    this.source = options.place.first
    this.latest = options.placing.running.settings.now
  }

  get now(): Settings {
    return this.options.placing.running.settings.now
  }

  readonly contents: Effect.Effect<string> = Effect.suspend(() => {
    const { files, watched } = this.options
    const paths = new Set([...watched, ...pathsOf(this.now), ...pathsOf(this.latest)])
    return Effect.provide(contents(Array.from(paths)), files)
  })

  /**
   * Reads and checks everything. The error has everything that is wrong. All files are read as they were at one moment:
   * where one changes meanwhile, all are read again.
   */
  readonly checked: Effect.Effect<Checked, Checks.ReloadRefused> = Effect.gen({ self: this }, function* () {
    for (let reads = 1;; reads++) {
      const before = yield* this.contents
      const found = yield* Effect.result(this.once)
      if (reads === readsMax || before === (yield* this.contents)) return yield* Effect.fromResult(found)
    }
  })

  private readonly once: Effect.Effect<Checked, Checks.ReloadRefused> = Effect.gen({ self: this }, function* () {
    const { files, place, read } = this.options
    const settings = yield* Effect.mapError(read, ({ message }) => Checks.refused(Checks.linesOf(message)))
    this.latest = settings
    const { keysFile } = this.now
    const fleet = yield* Effect.result(place.source(settings))
    const keys = yield* Effect.result(
      keysFile === "" ? Effect.undefined : Effect.provide(FileApiKeys.read(keysFile), files),
    )
    const flaws = [
      ...Checks.needingRestart(this.now, settings),
      ...Checks.partFlaws(settings),
      ...(fleet._tag === "Failure" ? [`${Checks.fleetSetting(settings)}: ${fleet.failure.message}`] : []),
      ...(keys._tag === "Failure" ? [`LLAMERO_KEYS_FILE: ${keys.failure.message}`] : []),
    ]
    if (fleet._tag === "Failure" || keys._tag === "Failure" || flaws.length > 0) return yield* Checks.refused(flaws)
    return { settings, fleet: fleet.success, keys: keys.success }
  })

  swap({ fleet, keys, settings }: Checked): Effect.Effect<Reloaded> {
    const { place, placing: { log, running } } = this.options
    return Effect.gen({ self: this }, function* () {
      // The fiber begins a new turn, so that it is not paused between the steps: they are one for all requests.
      yield* Effect.yieldNow
      const before = this.now
      const changed = Checks.changed(before, settings)
      const hasNewKeys = keys !== undefined && keys.text !== running.keys.now.text
      const hasNewFleet = yield* place.fleet.replace(fleet.backends)
      this.source = fleet
      if (keys !== undefined && hasNewKeys) running.keys.set(keys)
      if (changed.length > 0) running.settings.set(settings)
      // An operator may have set another level: it stays until the setting changes.
      if (settings.logLevel !== before.logLevel) log.setLevel(settings.logLevel)
      return { settings: changed, fleet: hasNewFleet, keys: keys === undefined ? undefined : hasNewKeys }
    }).pipe(Effect.uninterruptible)
  }

  /** The backends with secrets that were looked up again. */
  readonly renewed: Effect.Effect<boolean, { readonly message: string }> = Effect.suspend(() =>
    this.source.again === undefined
      ? Effect.succeed(false)
      : Effect.flatMap(this.source.again, (backends) => this.options.place.fleet.replace(backends))
  )
}
