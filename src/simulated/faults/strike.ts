/**
 * Applies a scripted fault to a request.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import type { Reply } from "../http/reply.ts"
import { Failure } from "../http/failure.ts"
import type { Route } from "../endpoints/routes.ts"
import type { Fault } from "./faults.ts"

/**
 * Applies a fault before the endpoint runs. An endpoint that streams handles faults in the middle of its stream itself.
 *
 * @category combinators
 * @since 0.1.0
 */
export const struck = (
  reply: Reply,
  fault: Fault | undefined,
  route: Route | undefined,
  work: Effect.Effect<void, Failure>,
): Effect.Effect<void, Failure> => {
  switch (fault?._tag) {
    case undefined:
      return work
    case "Hang":
      return Effect.never
    case "Interim":
      return Effect.andThen(Effect.sync(() => reply.interim(fault.statuses)), work)
    case "LongHead":
      reply.extra.push("X-Long", "x".repeat(fault.bytes))
      return work
    case "Slow":
      return Effect.andThen(Effect.sleep(fault.delay), work)
    case "Garbage":
      return Effect.sync(() => reply.fail("Protocol", "the answer is not HTTP"))
    case "Answer":
      return Effect.sync(() => reply.whole(fault.status, fault.contentType, fault.body))
    case "Failure":
      return Effect.fail(new Failure({ status: fault.status, text: fault.text }))
    case "Reset":
      return fault.after === undefined || route?.streams !== true
        ? Effect.sync(() => reply.fail("Reset", "connection reset by peer"))
        : work
    case "Stall":
      return route?.streams === true ? work : Effect.never
    case "Crash":
      return route?.streams === true ? work : Effect.fail(
        new Failure({ status: 500, text: "an error was encountered while running the model: unexpected EOF" }),
      )
    default:
      return work
  }
}
