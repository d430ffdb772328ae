/**
 * Handles failures of the pipeline: a refusal, a guard that broke, or a defect of the router.
 *
 * @since 0.1.0
 */
import { Cause, Effect } from "effect"
import { type Refusal, refuse } from "../../services/Refusal.ts"
import type { Settled } from "../../services/Router.ts"
import type { Guards } from "./guards.ts"
import type { Run } from "./requestState.ts"

const refused = (run: Run, why: Refusal): Settled => {
  run.reply.refuse(why)
  return run.end("refused", why.status, why)
}

/** Gives every failure of a routing an end. After a guard that fails open, `routed` goes on with the next. @internal */
export const make = (guards: Guards, routed: (run: Run, from: number) => Effect.Effect<Settled, Refusal>) => {
  const contained = (run: Run, routing: Effect.Effect<Settled, Refusal>): Effect.Effect<Settled> =>
    Effect.catchCause(routing, (cause) => recovered(run, cause))

  const recovered = (run: Run, cause: Cause.Cause<Refusal>): Effect.Effect<Settled> => {
    const why = Cause.findErrorOption(cause)
    if (why._tag === "Some") return Effect.sync(() => refused(run, why.value))
    if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
    const next = guards.passOver(run)
    if (next !== undefined) {
      return contained(
        run,
        Effect.andThen(
          Effect.logError(`request ${run.request.id}: a guard failed`, cause),
          Effect.suspend(() => routed(run, next)),
        ),
      )
    }
    // A defect of the router. The cause goes to the log; the client must not see it.
    return Effect.andThen(
      Effect.logError(`request ${run.request.id} failed`, cause),
      Effect.sync(() => refused(run, refuse("Internal", "internal error in the router"))),
    )
  }

  return contained
}
