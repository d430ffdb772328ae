/**
 * Sends heartbeats in silent streams. One sweeper watches all requests, so none needs a timer or a `Schedule`.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect } from "effect"
import { header, type QueuePlace, type RoutedRequest } from "../../services/RoutedRequest.ts"
import { Bag } from "../../support/bag.ts"
import { every } from "../../support/every.ts"
import { streams } from "../../wire/request.ts"
import type { Run } from "./requestState.ts"

/** How often the sweeper looks at a request in one interval. A heartbeat is late by at most a tenth of it. */
const looks = 10

/**
 * Whether the client wants heartbeats in the queue, too: `X-Llamero-Heartbeat: queued`. Called only after an interval
 * of silence, since looking for a header costs time.
 */
const asksInQueue = ({ headers }: RoutedRequest): boolean => header(headers, "x-llamero-heartbeat") === "queued"

/** Whether it gets heartbeats now. Once the status was sent, another heartbeat commits to nothing more. */
const mayHear = (run: Run): boolean =>
  run.working || run.demand?.waiting?.loading === true || run.reply.committed || asksInQueue(run.request)

/** Its place in the queue, if the client asked for it. */
const placeOf = ({ demand, request }: Run, now: number): QueuePlace | undefined =>
  demand?.waiting !== undefined && asksInQueue(request) ? demand.waiting.place(now) : undefined

/**
 * Makes a bag whose requests get a heartbeat after each `millis` of silence, if they stream, and if their model is
 * loading or a backend is answering them. A request that only waits in a queue gets none unless its client asks:
 * a heartbeat commits status 200, and the request may still be shed.
 *
 * @internal
 */
export const make = Effect.fnUntraced(function* (millis: number) {
  const clock = yield* Clock.Clock
  const active = new Bag<Run>()
  const beat = (run: Run, now: number): void => {
    const { bytes } = run.reply
    if (bytes !== run.seenBytes) {
      run.seenBytes = bytes
      run.quietSince = now
    } else if (now - run.quietSince >= millis) {
      if (streams(run.request) && mayHear(run)) run.reply.heartbeat(placeOf(run, now))
      run.quietSince = now
    }
  }
  const sweep = Effect.sync(() => {
    if (active.size === 0) return
    const now = clock.currentTimeMillisUnsafe()
    for (const run of active.snapshot()) beat(run, now)
  })
  yield* Effect.forkScoped(every(Duration.millis(millis / looks), sweep))
  return active
})
