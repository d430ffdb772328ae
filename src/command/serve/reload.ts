/**
 * Reads the settings, the fleet and the keys again while the server runs. Everything is read and checked before anything
 * changes, so a reload takes effect as a whole or not at all.
 */
import { Deferred, Effect, type FileSystem, Layer, Semaphore } from "effect"
import type * as FileFleet from "../../layers/fleet/FileFleet.ts"
import * as FileApiKeys from "../../layers/keys/FileApiKeys.ts"
import type { Settings } from "../../layers/Settings.ts"
import * as Outage from "../../support/outage.ts"
import type { Place } from "./place.ts"
import type { Placing } from "./placing.ts"
import * as Checks from "./reloadChecks.ts"

export interface Options {
  /** The settings again, from wherever they came at the start. Its message has a line for everything that is wrong. */
  readonly read: Effect.Effect<Settings, { readonly message: string }>
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

export interface Reloading {
  /**
   * Reads everything again. One reload runs at a time: all that are asked for while one runs are one more. `quiet`: a
   * refusal that is logged already is not logged again.
   */
  readonly reload: (options?: { readonly quiet?: boolean }) => Effect.Effect<Reloaded, Checks.ReloadRefused>
  /** Looks up the backends' secrets in files again, also while a reload is refused. */
  readonly refreshSecrets: Effect.Effect<void>
  /** Whether the last reload was refused. */
  readonly isRefused: () => boolean
  /** The files with the fleet and the keys, of the settings in use and of those that were refused. */
  readonly files: () => ReadonlyArray<string>
  /** Time between two looks at them. */
  readonly lookMillis: () => number
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

const pathsOf = ({ fleetFile, keysFile }: Settings) => [fleetFile, keysFile].filter((path) => path !== "")

/** What is in use, and how it is replaced. */
class Parts {
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

  paths(): ReadonlyArray<string> {
    return Array.from(new Set([...pathsOf(this.now), ...pathsOf(this.latest)]))
  }

  /** Reads and checks everything. The error has everything that is wrong. */
  readonly checked: Effect.Effect<Checked, Checks.ReloadRefused> = Effect.gen({ self: this }, function* () {
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

export const make = (options: Options): Reloading => {
  const parts = new Parts(options)
  const turn = Semaphore.makeUnsafe(1)
  const [refusals, secrets] = [Outage.make(), Outage.make()]
  let refusal: string | undefined
  /** Whether someone waits who wants the refusal in the log. */
  let isLoud = false
  let next: Deferred.Deferred<Reloaded, Checks.ReloadRefused> | undefined

  const succeeded = (reloaded: Reloaded) => {
    refusal = undefined
    const words = told(reloaded)
    const isOver = refusals.ends(Effect.logInfo("reload: the settings can be read again"))
    return Effect.andThen(isOver, words === told(unchanged) ? Effect.void : Effect.logInfo(`reloaded: ${words}`))
  }
  const failed = ({ message }: Checks.ReloadRefused, loud: boolean) => {
    refusal = message
    return loud
      ? Effect.andThen(refusals.begins(message, Effect.void), Effect.logError(message))
      : refusals.begins(message, Effect.logError(message))
  }
  const once = Effect.suspend(() => {
    const loud = isLoud
    isLoud = false
    next = undefined
    return Effect.flatMap(parts.checked, (checked) => parts.swap(checked)).pipe(
      Effect.tap(succeeded),
      Effect.tapError((error) => failed(error, loud)),
    )
  })

  return {
    // Whoever waits may leave, and the reload goes on.
    reload: ({ quiet = false } = {}) =>
      Effect.suspend(() => {
        isLoud ||= !quiet
        if (next !== undefined) return Deferred.await(next)
        const mine = next = Deferred.makeUnsafe()
        return Effect.andThen(
          Effect.forkDetach(Deferred.into(turn.withPermits(1)(once), mine)),
          Deferred.await(mine),
        )
      }),
    refreshSecrets: turn.withPermits(1)(Effect.matchEffect(parts.renewed, {
      onFailure: ({ message }) =>
        secrets.begins(message, Effect.logError(`the secrets of backends stay as they were: ${message}`)),
      onSuccess: (changed) =>
        Effect.andThen(
          changed ? Effect.logInfo("secrets of backends read again") : Effect.void,
          secrets.ends(),
        ),
    })),
    isRefused: () => refusal !== undefined,
    files: () => parts.paths(),
    lookMillis: () => parts.now.fleetMillis,
  }
}

/** What `/admin/reload` reads again, and what it answers. */
export const forOperators = ({ reload }: Reloading) =>
  Effect.map(reload(), ({ fleet, keys, settings }) => {
    const of = (what: string, changed: boolean) => ({ what, result: changed ? "changed" as const : "unchanged" as const })
    return [of("settings", settings.length > 0), of("fleet", fleet), ...(keys === undefined ? [] : [of("keys", keys)])]
  })

const unchanged: Reloaded = { settings: [], fleet: false, keys: false }
