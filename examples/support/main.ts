/**
 * Runs a server until a signal: the first one stops it in good order, the second at once. Works on Node and on Deno.
 */
import { Cause, Effect, Exit, Fiber } from "effect"
import process from "node:process"

/** Ends with one line and status 1 where `why` has words for the failure; else with the whole cause. */
export const runMain = <E>(main: Effect.Effect<unknown, E>, why: (error: E) => string): void => {
  const fiber = Effect.runFork(main)
  let stopping = false
  // One listener for both times: Deno calls one that is added while a signal is being told at once.
  const on = (name: "SIGINT" | "SIGTERM", status: number) =>
    process.on(name, () => {
      if (stopping) process.exit(status)
      stopping = true
      console.log("stopping: streams may finish; a second signal stops at once")
      Effect.runFork(Fiber.interrupt(fiber))
    })
  on("SIGINT", 130)
  on("SIGTERM", 143)
  fiber.addObserver((exit) => {
    if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return process.exit(0)
    const error = Cause.findErrorOption(exit.cause)
    console.error(`llamero: ${error._tag === "Some" ? why(error.value) : Cause.pretty(exit.cause)}`)
    process.exit(1)
  })
}
