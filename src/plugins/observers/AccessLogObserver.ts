/**
 * One line in the log for each request that settled.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import type { Observer } from "../../services/Plugin.ts"

/** A name may be as long as a request body, and then it is no name. */
const modelMax = 200

/**
 * Logs at `Info`, refusals that are the router's or a backend's fault (status 500 and above) at `Warn`.
 *
 * **Details**
 *
 * Who, what, where and how long, as annotations, so that a JSON logger gets fields. Bodies, prompts and keys are not in the event and so never in the log.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: {
  /** Requests with a lower status are passed over, which costs next to nothing. Defaults to `0`: all are logged. */
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
      ...(refusal === undefined ? {} : { refusal: refusal.reason }),
      queued_ms: queuedMillis,
      total_ms: event.totalMillis,
      bytes_in: event.bytesIn,
      bytes_out: event.bytesOut,
    })
  },
})
