/**
 * Records what operators change: an event, a line in the log, and the list that `/admin/changes` shows.
 *
 * @since 0.1.0
 */
import { type Clock, Effect } from "effect"
import type { AdminAction, AdminChanged, RouterEvents } from "../../../services/RouterEvents.ts"
import { Operator } from "../AdminApi.ts"
import { type BadCall, Failed, type NotNow, type Unknown } from "./errors.ts"

/** Changes that are kept for `/admin/changes`. */
const keptMax = 500
/** An operator can write anything as a model's name. */
const textMax = 300

/** What a change is about. @category models @since 0.1.0 */
export interface Target {
  readonly backend?: string | undefined
  readonly model?: string | undefined
}

type Refused = BadCall | Failed | NotNow | Unknown

/** @category models @since 0.1.0 */
export interface Audit {
  /** Makes a change and records it. The change gives what it has done, for people. */
  readonly of: <E extends Refused, R>(
    action: AdminAction,
    target: Target,
    change: Effect.Effect<string, E, R>,
  ) => Effect.Effect<string, E, R | Operator>
  /** Keeps a change for the list that something else has recorded: a reload by a signal. */
  readonly note: (change: AdminChanged) => void
  /** The last changes, newest first. */
  readonly recent: (limit: number) => ReadonlyArray<AdminChanged>
}

const logged = (change: AdminChanged): Effect.Effect<void> => {
  const line = change.result === "done" ? Effect.logInfo("admin") : Effect.logWarning("admin")
  const { action, address, backend, model, reason, result, who } = change
  return Effect.annotateLogs(line, {
    action,
    result,
    who,
    ...(address === undefined ? {} : { address }),
    ...(backend === undefined ? {} : { backend }),
    ...(model === undefined ? {} : { model }),
    reason,
  })
}

/** @category constructors @since 0.1.0 */
export const make = (events: RouterEvents["Service"], clock: Clock.Clock): Audit => {
  const kept: Array<AdminChanged> = []
  const keep = (change: AdminChanged): void => {
    kept.push(change)
    if (kept.length > keptMax) kept.shift()
  }
  const record = Effect.fnUntraced(function* (
    action: AdminAction,
    target: Target,
    result: AdminChanged["result"],
    reason: string,
  ) {
    const { address, who } = yield* Operator
    const change: AdminChanged = {
      _tag: "AdminChanged",
      at: clock.currentTimeMillisUnsafe(),
      who,
      address,
      action,
      backend: target.backend?.slice(0, textMax),
      model: target.model?.slice(0, textMax),
      result,
      reason: reason.slice(0, textMax),
    }
    keep(change)
    events.publish(change)
    yield* logged(change)
  })
  return {
    of: (action, target, change) =>
      Effect.tap(
        Effect.tapError(
          change,
          (error) => record(action, target, error instanceof Failed ? "failed" : "refused", error.error),
        ),
        (words) => record(action, target, "done", words),
      ),
    note: (change) => {
      if (!kept.includes(change)) keep(change)
    },
    recent: (limit) => kept.slice(-limit).reverse(),
  }
}

/** A change as JSON. @category conversions @since 0.1.0 */
export const shown = ({ action, address, at, backend, model, reason, result, who }: AdminChanged) => ({
  at: new Date(at).toISOString(),
  who,
  address: address ?? null,
  action,
  backend: backend ?? null,
  model: model ?? null,
  result,
  reason,
})
