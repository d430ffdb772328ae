/**
 * Signs of life in silent streams: one sweeper for all requests, no timer for any.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect } from "effect"
import { header, type QueuePlace, type RoutedRequest } from "../../services/RoutedRequest.ts"
import { Bag } from "../../support/bag.ts"
import { every } from "../../support/every.ts"
import { streams } from "../../wire/request.ts"
import type { Run } from "./run.ts"

/** How many times in an interval requests are looked at: a heartbeat is late by at most the part. */
const looks = 10

/** Asks for signs of life in a queue as well: `X-Llamero-Heartbeat: queued`. Looked at only when a request has been quiet for an interval. */
const asksInQueue = ({ headers }: RoutedRequest): boolean => header(headers, "x-llamero-heartbeat") === "queued"

/** Where the status has gone out there is nothing to lose by another sign. */
const hears = (run: Run): boolean =>
  run.working || run.demand?.waiting?.loading === true || run.reply.committed || asksInQueue(run.request)

/** Its place, for who asked to hear of it. */
const placeOf = ({ demand, request }: Run, now: number): QueuePlace | undefined =>
  demand?.waiting !== undefined && asksInQueue(request) ? demand.waiting.place(now) : undefined

/**
 * The requests under way. Those that stream, and whose model is loading or whose backend is at work, hear from the router when nothing has come for
 * `millis`. Mere waiting in a queue is silent unless the client asks: a heartbeat commits status 200, and one who waits may yet be shed.
 *
 * @internal
 */
export const make = Effect.fnUntraced(function* (millis: number) {
  const clock = yield* Clock.Clock
  const underWay = new Bag<Run>()
  const beat = (run: Run, now: number): void => {
    const { bytes } = run.reply
    if (bytes !== run.seenBytes) {
      run.seenBytes = bytes
      run.quietSince = now
    } else if (now - run.quietSince >= millis) {
      if (streams(run.request) && hears(run)) run.reply.heartbeat(placeOf(run, now))
      run.quietSince = now
    }
  }
  const sweep = Effect.sync(() => {
    if (underWay.size === 0) return
    const now = clock.currentTimeMillisUnsafe()
    for (const run of underWay.snapshot()) beat(run, now)
  })
  yield* Effect.forkScoped(every(Duration.millis(millis / looks), sweep))
  return underWay
})
