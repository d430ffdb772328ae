/**
 * Reads the settings, the fleet and the keys again while the server runs: one reload at a time, each as a whole or not
 * at all, each with a line in the log.
 */
import { Deferred, Effect, Semaphore } from "effect"
import * as Outage from "../../support/outage.ts"
import type { ReloadRefused } from "./reloadChecks.ts"
import { type Options, Parts, type Reloaded, told } from "./reloadParts.ts"

export interface Reloading {
  /**
   * Reads everything again. One reload runs at a time: all that are asked for while one runs are one more. `quiet`: a
   * refusal that is logged already is not logged again.
   */
  readonly reload: (options?: { readonly quiet?: boolean }) => Effect.Effect<Reloaded, ReloadRefused>
  /** Looks up the backends' secrets in files again, also while a reload is refused. */
  readonly refreshSecrets: Effect.Effect<void>
  /** Whether the last reload was refused. */
  readonly isRefused: () => boolean
  /** What the files hold that a reload reads: those of the settings in use, and of those that were refused. */
  readonly contents: Effect.Effect<string>
  /** Time between two looks at them. */
  readonly lookMillis: () => number
}

export const make = (options: Options): Reloading => {
  const parts = new Parts(options)
  const turn = Semaphore.makeUnsafe(1)
  const [refusals, secrets] = [Outage.make(), Outage.make()]
  let refusal: string | undefined
  /** Whether someone waits who wants the refusal in the log. */
  let isLoud = false
  let next: Deferred.Deferred<Reloaded, ReloadRefused> | undefined

  const succeeded = (reloaded: Reloaded) => {
    refusal = undefined
    const words = told(reloaded)
    const isOver = refusals.ends(Effect.logInfo("reload: nothing is wrong any more"))
    return Effect.andThen(isOver, words === told(unchanged) ? Effect.void : Effect.logInfo(`reloaded: ${words}`))
  }
  const failed = ({ message }: ReloadRefused, loud: boolean) => {
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
    contents: parts.contents,
    lookMillis: () => parts.now.fleetMillis,
  }
}

/** What `/admin/reload` reads again, and what it answers. */
export const forOperators = ({ reload }: Reloading) =>
  Effect.map(reload(), ({ fleet, keys, settings }) => {
    const of = (what: string, changed: boolean) => ({
      what,
      result: changed ? "changed" as const : "unchanged" as const,
    })
    return [of("settings", settings.length > 0), of("fleet", fleet), ...(keys === undefined ? [] : [of("keys", keys)])]
  })

const unchanged: Reloaded = { settings: [], fleet: false, keys: false }
