/**
 * One line in the log for each request that settled.
 *
 * @since 0.1.0
 */
import { Effect, LogLevel } from "effect"
import type { LogControl } from "../../services/LogControl.ts"
import type { Observer } from "../../services/Plugin.ts"
import type { RequestSettled, RouterEvent } from "../../services/RouterEvents.ts"
import * as RequestLine from "./requestLine.ts"

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
  /**
   * Takes each line as JSON, as `LogLines.json` writes it, in place of the loggers: a router that serves thousands of
   * requests a second logs each for a tenth of the CPU time. `LogLines.console` has a function for it. Defaults to
   * none: the loggers get the lines.
   */
  readonly lines?: ((line: string) => void) | undefined
}): Observer => {
  const { control, lines, statusMin = 0 } = options ?? {}
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
  const written = lines === undefined ? logged : directly(lines, control)
  return {
    kind: "observer",
    name: "access-log",
    observe: (event) => isSettled(event) && isLogged(event.settled.status) ? written(event) : undefined,
  }
}

const isSettled = (event: RouterEvent): event is RequestSettled => event._tag === "RequestSettled"

const isFailed = ({ settled }: RequestSettled): boolean => settled.status >= 500

/** Past the loggers, so the level that they look at is looked at here. */
const directly = (lines: (line: string) => void, control: LogControl | undefined) => {
  const lineOf = RequestLine.make()
  return (event: RequestSettled): void => {
    const isWarning = isFailed(event)
    if (isWarning && control !== undefined && LogLevel.isGreaterThan(control.level(), "Warn")) return
    lines(lineOf(event, isWarning ? "warn" : "info"))
  }
}

const logged = (event: RequestSettled): Effect.Effect<void> => {
  const { attempts, backend, outcome, queuedMillis, refusal, result, status } = event.settled
  const line = isFailed(event) ? Effect.logWarning("request") : Effect.logInfo("request")
  return Effect.annotateLogs(line, {
    id: event.id,
    route: event.route,
    model: RequestLine.shortModel(event.model),
    tenant: event.tenant,
    status,
    result,
    ...(backend === undefined ? {} : { backend, attempts }),
    ...(outcome === undefined ? {} : { outcome: outcome.cause }),
    ...(outcome?.firstByteMillis === undefined ? {} : { first_byte_ms: outcome.firstByteMillis }),
    ...(event.trace?.sampled === true ? { trace_id: event.trace.traceId } : {}),
    ...(refusal === undefined ? {} : { refusal: refusal.reason }),
    queued_ms: queuedMillis,
    total_ms: event.totalMillis,
    bytes_in: event.bytesIn,
    bytes_out: event.bytesOut,
  })
}
