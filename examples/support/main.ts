/** Runs a server until a signal, on Node and Deno. The first signal drains the server, the second stops it at once. */
import { Cause, Effect, Exit, Fiber } from "effect"
import process from "node:process"

/** A failure ends the process with status 1, and prints one line from `why`; a defect prints its whole cause. */
export const runMain = <E>(main: Effect.Effect<unknown, E>, why: (error: E) => string): void => {
  const fiber = Effect.runFork(main)
  let stopping = false
  // One listener for both signals: Deno at once calls a listener that is added while a signal is delivered.
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
