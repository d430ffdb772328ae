/**
 * Starts a second attempt beside a slow one. One sweeper watches all attempts, so none needs a timer or a fiber.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect } from "effect"
import type { Lease } from "../../services/Leases.ts"
import type { Attempt } from "../../services/Relay.ts"
import type { Demand } from "../../services/RoutedRequest.ts"
import { Bag } from "../../support/bag.ts"
import { every } from "../../support/every.ts"
import { type Job, Race, type Tools } from "./race.ts"
import { keepsNothing, type Run } from "./requestState.ts"

/** How often the sweeper looks for slow attempts. A second attempt starts at most this much too late. */
const sweepMillis = 25

/** Whether a request may be hedged: it generates something, on the fleet's devices, and keeps its model. @internal */
export const hedges = ({ request }: Run, { loads, model }: Demand): boolean =>
  loads && !model.remote && !request.envelope.emptyPrompt && !keepsNothing(request)

/**
 * As `Relay.run`, with a second attempt beside a first one that is slow.
 *
 * @internal
 */
export const make = Effect.fnUntraced(function* (tools: Tools) {
  const clock = yield* Clock.Clock
  const waiting = new Bag<Race>()
  const sweep = Effect.sync(() => {
    if (waiting.size === 0) return
    const now = clock.currentTimeMillisUnsafe()
    for (const race of waiting.snapshot()) if (race.slot >= 0 && now >= race.hedgeAt) race.hedge(now)
  })
  yield* Effect.forkScoped(every(Duration.millis(sweepMillis), sweep))

  return (lease: Lease, job: Job): Effect.Effect<Attempt> =>
    Effect.callback<Attempt>((resume) => {
      const race = new Race(job, lease, tools, clock, waiting, (attempt) => resume(Effect.succeed(attempt)))
      race.start()
      return Effect.sync(() => race.leave())
    })
})
