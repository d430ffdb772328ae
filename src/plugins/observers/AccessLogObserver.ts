/**
 * One line in the log for each request that settled.
 *
 * @since 0.1.0
 */
import { Effect, LogLevel } from "effect"
import type { LogControl } from "../../services/LogControl.ts"
import type { Observer } from "../../services/Plugin.ts"
import type { RequestSettled, RouterEvent } from "../../services/RouterEvents.ts"

/** A model that no backend has is named as the client wrote it, and that may be as long as a request body. */
const modelMax = 200

/**
 * Logs requests at `Info`, and those with a status of 500 and above at `Warn`.
 *
 * **Details**
 *
 * The tenant, model, backend, status and times are annotations, so that a JSON logger writes them as fields. Bodies,
 * prompts and keys are not part of the event, so they are never in the log.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: {
  /** Requests with a lower status are not logged. Defaults to `0`: all are logged. */
  readonly statusMin?: number | undefined
  /**
   * What operators change while the router runs: at a level above `Info` only requests with a status of 500 and above
   * are logged, and of those with a status below 400 only the share `sample`, evenly spread. Defaults to all.
   */
  readonly control?: LogControl | undefined
}): Observer => {
  const { control, statusMin = 0 } = options ?? {}
  /** The part of a line that has come together since the last one. It starts so that the first request gets a line. */
  let due = 1
  const isLogged = (status: number): boolean => {
    if (status < statusMin) return false
    if (control === undefined || status >= 500) return true
    if (LogLevel.isGreaterThan(control.level(), "Info")) return false
    if (status >= 400) return true
    const sample = control.sample()
    if (sample === 0) return false
    due += sample
    if (due < 1) return false
    due -= 1
    return true
  }
  return {
    kind: "observer",
    name: "access-log",
    observe: (event) => isSettled(event) && isLogged(event.settled.status) ? lineOf(event) : undefined,
  }
}

const isSettled = (event: RouterEvent): event is RequestSettled => event._tag === "RequestSettled"

const lineOf = (event: RequestSettled): Effect.Effect<void> => {
  const { attempts, backend, outcome, queuedMillis, refusal, result, status } = event.settled
  const line = status >= 500 ? Effect.logWarning("request") : Effect.logInfo("request")
  return Effect.annotateLogs(line, {
    id: event.id,
    route: event.route,
    model: event.model.slice(0, modelMax),
    tenant: event.tenant,
    status,
    result,
    ...(backend === undefined ? {} : { backend, attempts }),
    ...(outcome === undefined ? {} : { outcome: outcome.cause }),
    ...(outcome?.firstByteMillis === undefined ? {} : { first_byte_ms: outcome.firstByteMillis }),
    ...(refusal === undefined ? {} : { refusal: refusal.reason }),
    queued_ms: queuedMillis,
    total_ms: event.totalMillis,
    bytes_in: event.bytesIn,
    bytes_out: event.bytesOut,
  })
}
