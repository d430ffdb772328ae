/**
 * One line in the log for each request that settled.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import type { Observer } from "../../services/Plugin.ts"

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
}): Observer => ({
  kind: "observer",
  name: "access-log",
  observe: (event) => {
    if (event._tag !== "RequestSettled" || event.settled.status < (options?.statusMin ?? 0)) return
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
      ...(event.trace?.sampled === true ? { trace_id: event.trace.traceId } : {}),
      ...(refusal === undefined ? {} : { refusal: refusal.reason }),
      queued_ms: queuedMillis,
      total_ms: event.totalMillis,
      bytes_in: event.bytesIn,
      bytes_out: event.bytesOut,
    })
  },
})
