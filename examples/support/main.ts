/** Runs a server until a signal: the first one stops it in good order, the second at once. Works on Node and on Deno. */
import { Cause, Effect, Exit, Fiber } from "effect"
import process from "node:process"

/** Ends with one line and status 1 where `why` has words for the failure; else with the whole cause. */
export const runMain = <E>(main: Effect.Effect<unknown, E>, why: (error: E) => string): void => {
  const fiber = Effect.runFork(main)
  const stop = (): void => {
    process.once("SIGINT", () => process.exit(130))
    process.once("SIGTERM", () => process.exit(143))
    console.log("stopping: streams may finish; a second signal stops at once")
    Effect.runFork(Fiber.interrupt(fiber))
  }
  process.once("SIGINT", stop)
  process.once("SIGTERM", stop)
  fiber.addObserver((exit) => {
    if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return process.exit(0)
    const error = Cause.findErrorOption(exit.cause)
    console.error(`llamero: ${error._tag === "Some" ? why(error.value) : Cause.pretty(exit.cause)}`)
    process.exit(1)
  })
}
