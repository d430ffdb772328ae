/**
 * What a request ends with that fails: its refusal, what follows a guard that broke, or our own fault.
 *
 * @since 0.1.0
 */
import { Cause, Effect } from "effect"
import { type Refusal, refuse } from "../../services/Refusal.ts"
import type { Settled } from "../../services/Router.ts"
import type { Guards } from "./guards.ts"
import type { Run } from "./run.ts"

const refusing = (run: Run, why: Refusal): Settled => {
  run.reply.refuse(why)
  return run.end("refused", why.status, why)
}

/** `routed` goes on from a guard's number. @internal */
export const make = (guards: Guards, routed: (run: Run, from: number) => Effect.Effect<Settled, Refusal>) => {
  const rescued = (run: Run, routing: Effect.Effect<Settled, Refusal>): Effect.Effect<Settled> =>
    Effect.catchCause(routing, (cause) => recovered(run, cause))

  const recovered = (run: Run, cause: Cause.Cause<Refusal>): Effect.Effect<Settled> => {
    const why = Cause.findErrorOption(cause)
    if (why._tag === "Some") return Effect.sync(() => refusing(run, why.value))
    if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
    const next = guards.passOver(run)
    if (next !== undefined) {
      return rescued(
        run,
        Effect.andThen(
          Effect.logError(`request ${run.request.id}: a guard failed`, cause),
          Effect.suspend(() => routed(run, next)),
        ),
      )
    }
    // Our own fault: the operator gets the cause, the client gets none of it.
    return Effect.andThen(
      Effect.logError(`request ${run.request.id} failed`, cause),
      Effect.sync(() => refusing(run, refuse("Internal", "internal error in the router"))),
    )
  }

  return rescued
}
