/**
 * Runs a server as a program, on Node and Deno: it drains at the first signal, stops at the second, and says in one
 * line why it does not start.
 *
 * @since 0.1.0
 */
import { Cause, Effect, Exit, Fiber, Runtime } from "effect"
import { basename } from "node:path"
import process from "node:process"
import * as LogLines from "./LogLines.ts"

/** @category models @since 0.1.0 */
export interface Options<E> {
  /** Says why the program does not start. Defaults to `explain` of the error. */
  readonly why?: ((error: E) => string) | undefined
  /** The name in front of that line. Defaults to `llamero`. */
  readonly name?: string | undefined
}

/** What an operating system says about an address. */
interface SystemError {
  readonly code?: string
  readonly address?: string
  readonly hostname?: string
  readonly port?: number
  readonly message: string
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

const hasMessage = (value: unknown): value is SystemError => isRecord(value) && typeof value["message"] === "string"

/**
 * An error in words. For a server that cannot listen they name the address, and the environment variables that set it.
 *
 * @category accessors
 * @since 0.1.0
 */
export const explain = (error: unknown, variables = { host: "the host", port: "PORT" }): string => {
  const isServe = isRecord(error) && error["_tag"] === "ServeError" && hasMessage(error["cause"])
  const cause = isServe ? error["cause"] as SystemError : error
  if (!hasMessage(cause)) return String(error)
  const { address = "", code = "", hostname, message, port = "" } = cause
  const place = `${address.includes(":") ? `[${address}]` : address}:${port}`
  if (code === "EADDRINUSE") return `${place} is in use; set ${variables.port} to a free port`
  if (code === "EACCES") return `${place} is not for everybody: set ${variables.port} to a port above 1023`
  if (code === "ERR_SOCKET_BAD_PORT") return `${variables.port} must be a port from 0 to 65535`
  if (/^(EADDRNOTAVAIL|ENOTFOUND|EAI_\w+|EINVAL)$/.test(code)) {
    return `this machine has no address ${hostname ?? address}; set ${variables.host} to one that it has`
  }
  return isServe ? `cannot listen: ${message}` : message
}

/**
 * npm and Deno pass a signal on to the program, and a terminal or a supervisor sends it to both: the program gets it
 * twice, in a few milliseconds. Within this time they are one signal, in milliseconds.
 */
const repeatMillis = 200

/**
 * Whether `npm run` or `deno task` runs this program. npm names it: the program may also be started by another one that
 * npm runs, such as a test runner.
 */
const isScript = (process.env["npm_lifecycle_script"] ?? "").includes(basename(process.argv[1] ?? "?")) ||
  (process.env["npm_config_user_agent"] ?? "").startsWith("deno/")

/** Calls `first` at the first signal and ends the process at the second one. */
const onSignals = (first: () => void): void => {
  let stopping: number | undefined
  // One listener for both signals: Deno at once calls a listener that is added while a signal is delivered.
  const on = (name: "SIGINT" | "SIGTERM", status: number) =>
    process.on(name, () => {
      const now = performance.now()
      if (stopping === undefined) {
        stopping = now
        first()
      } else if (!isScript || now - stopping >= repeatMillis) process.exit(status)
    })
  on("SIGINT", 130)
  on("SIGTERM", 143)
}

/**
 * Runs a program until it ends or a signal comes, then ends the process.
 *
 * **Details**
 *
 * - SIGINT and SIGTERM interrupt the program: a server finishes its streams. A second one ends the process at once,
 *   with 130 or 143.
 * - The status is 0 after a signal or a success. After a failure it is 1, or the error's `Runtime.errorExitCode`. A
 *   failure prints one line, unless the error's `Runtime.errorReported` is `false`. A defect prints its whole cause.
 * - Logs are in the format in `LLAMERO_LOG_FORMAT`, `pretty` or `json`; else pretty on a terminal, and JSON if not.
 *
 * @category running
 * @since 0.1.0
 */
export const runMain = <E>(main: Effect.Effect<unknown, E>, options?: Options<E>): void => {
  const isTerminal = process.stdout.isTTY === true
  const format = LogLines.formatOf(process.env["LLAMERO_LOG_FORMAT"], isTerminal)
  const logging = LogLines.layerOf(format, { colours: isTerminal && process.env["NO_COLOR"] === undefined })
  const fiber = Effect.runFork(Effect.provide(main, logging))
  const stopping = Effect.logInfo("stopping: streams may finish; a second signal stops at once")
  onSignals(() => {
    // On Deno a line to a terminal that was closed throws.
    Effect.runFork(Effect.provide(Effect.andThen(Effect.ignoreCause(stopping), Fiber.interrupt(fiber)), logging))
  })
  fiber.addObserver((exit) => {
    if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return process.exit(0)
    const error = Cause.findErrorOption(exit.cause)
    const defect = Cause.squash(exit.cause)
    const isBadPort = isRecord(defect) && defect["code"] === "ERR_SOCKET_BAD_PORT"
    const why = error._tag === "Some" ? (options?.why ?? explain)(error.value) : Cause.pretty(exit.cause)
    if (Runtime.getErrorReported(defect)) {
      process.stderr.write(`${options?.name ?? "llamero"}: ${isBadPort ? explain(defect) : why}\n`)
    }
    process.exit(Runtime.getErrorExitCode(defect))
  })
}
