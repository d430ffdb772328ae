/**
 * Runs attempts whose answer several clients share.
 *
 * @since 0.1.0
 */
import { Cause, Clock, Effect, Exit } from "effect"
import { clientGone } from "../../services/Outcome.ts"
import { RouterEvents } from "../../services/RouterEvents.ts"
import type { Bag } from "../../support/bag.ts"
import type { Attempting } from "./attempts.ts"
import { Run } from "./requestState.ts"
import * as TracedAttempts from "./tracedAttempts.ts"

/**
 * As `attempt`, with a run of its own: a shared answer can outlive each of its clients. `active` gets these runs, so
 * that their heartbeats go to all clients.
 *
 * @internal
 */
export const make = Effect.fnUntraced(function* (attempt: Attempting, active: Bag<Run>) {
  const clock = yield* Clock.Clock
  const events = yield* RouterEvents

  const flight: Attempting = (leader, demand, reply, request) =>
    Effect.suspend(() => {
      const run = new Run(leader.request, reply)
      run.trace = run.call = leader.trace?.shared()
      active.add(run)
      return Effect.onExit(attempt(run, demand, reply, request), (exit) =>
        Effect.sync(() => {
          active.remove(run)
          const at = clock.currentTimeMillisUnsafe()
          TracedAttempts.endAll(run.trace, run.backend, run.outcome, run.firstByteAt, at)
          if (Exit.isSuccess(exit) || !Cause.hasInterruptsOnly(exit.cause)) return leader.take(run)
          // All clients have left, so no request's own event will tell of this attempt.
          if (run.backend !== undefined && run.outcome === undefined) {
            events.publish({
              _tag: "AttemptFailed",
              at,
              id: demand.id,
              backend: run.backend,
              cause: clientGone.cause,
              trace: run.trace,
            })
          }
        }))
    })
  return flight
})
