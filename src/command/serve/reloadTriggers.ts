/** What makes a running server read its settings again: SIGHUP, and files that change. */
import { Clock, Duration, Effect, Layer } from "effect"
import process from "node:process"
import { isatty } from "node:tty"
import { RouterEvents } from "../../services/RouterEvents.ts"
import * as Outage from "../../support/outage.ts"
import type { Reloading } from "./reload.ts"
import { type Reloaded, told } from "./reloadParts.ts"

/** An editor writes a file in several steps. So a change counts when two looks in a row see the same. */
const settleMillis = 100
/** A file that never comes to rest is read all the same after so many looks. */
const looksMax = 20

/** What starts a reload. One that was refused is tried again, since a file that it names may be there now. */
type Cause = "SIGHUP" | "file" | "refused before"

/** Reloads, and records it as an operator's change: an event, a metric, and a row of `/admin/changes`. */
const recorded = (reloading: Reloading, events: RouterEvents["Service"], clock: Clock.Clock) => {
  const record = (who: string, result: "done" | "refused", reason: string) =>
    Effect.sync(() =>
      events.publish({
        _tag: "AdminChanged",
        at: clock.currentTimeMillisUnsafe(),
        who,
        address: undefined,
        action: "reload",
        backend: undefined,
        model: undefined,
        result,
        reason,
      })
    )
  return (cause: Cause): Effect.Effect<void> => {
    const quiet = cause === "refused before"
    const who = cause === "SIGHUP" ? cause : "file"
    return Effect.matchEffect(reloading.reload({ quiet }), {
      onFailure: ({ flaws }) => quiet ? Effect.void : record(who, "refused", flaws.join("; ")),
      onSuccess: (reloaded) =>
        who === "file" && !hasChanged(reloaded) ? Effect.void : record(who, "done", told(reloaded)),
    })
  }
}

const hasChanged = ({ fleet, keys, settings }: Reloaded): boolean => fleet || keys === true || settings.length > 0

/** Without any listener, SIGHUP ends the process. So this one stays: streams that finish must not be cut. */
const ignored = (): void => {}

/**
 * Calls a function at each SIGHUP, until the scope closes; on a host without signals, never. The server drains instead
 * where the terminal in which it was started has been closed: it must not go on without a window.
 */
const onHangUp = (reload: () => void) =>
  Effect.ignore(Effect.acquireRelease(
    Effect.try(() => {
      const hadTerminal = isatty(0)
      const hangUp = () => hadTerminal && !isatty(0) ? void process.kill(process.pid, "SIGTERM") : reload()
      if (!process.listeners("SIGHUP").includes(ignored)) process.on("SIGHUP", ignored)
      process.on("SIGHUP", hangUp)
      return hangUp
    }),
    (hangUp) => Effect.sync(() => process.off("SIGHUP", hangUp)),
  ))

/** Looks at the files for ever. */
const watching = (
  reloading: Reloading,
  reload: (cause: Cause) => Effect.Effect<void>,
): Effect.Effect<never> => {
  /** The first look finds a change: a file can have changed since the server has read it. */
  let seen = ""
  const settled = Effect.gen(function* () {
    for (let looks = 0; looks < looksMax; looks++) {
      yield* Effect.sleep(Duration.millis(settleMillis))
      const later = yield* reloading.contents
      if (later === seen) return
      seen = later
    }
  })
  const look = Effect.gen(function* () {
    yield* reloading.refreshSecrets
    const found = yield* reloading.contents
    if (found !== seen) {
      seen = found
      yield* settled
      yield* reload("file")
    } else if (reloading.isRefused()) yield* reload("refused before")
  })
  const guarded = Outage.contained("a look at the files of settings failed")(look)
  return Effect.forever(
    Effect.andThen(guarded, Effect.suspend(() => Effect.sleep(Duration.millis(Math.max(1, reloading.lookMillis()))))),
  )
}

/** Reloads at SIGHUP, and when one of the files has changed. */
export const layer = (reloading: Reloading): Layer.Layer<never, never, RouterEvents> =>
  Layer.effectDiscard(Effect.gen(function* () {
    const reload = recorded(reloading, yield* RouterEvents, yield* Clock.Clock)
    const fork = Effect.runForkWith(yield* Effect.context<never>())
    yield* onHangUp(() => void fork(reload("SIGHUP")))
    yield* Effect.forkScoped(watching(reloading, reload))
  }))
