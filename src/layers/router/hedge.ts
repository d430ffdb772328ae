/**
 * Two attempts at one request, of which one is relayed. One sweeper for all: no timer and no fiber for any.
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
import { keepsNothing, type Run } from "./run.ts"

/** How often slow attempts are looked for: a hedge is late by at most this. */
const sweepMillis = 25

/** Generates something, on our own hardware, from a model that stays in memory. @internal */
export const hedges = ({ request }: Run, { loads, model }: Demand): boolean =>
  loads && !model.remote && !request.envelope.emptyPrompt && !keepsNothing(request)

/**
 * Runs attempts as `Relay.run` does, with a second one beside a first one that is slow.
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
