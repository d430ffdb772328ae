/**
 * Runs a short command with a time limit.
 *
 * Not `effect/process`: its scope waits until a killed child is gone, and a child that hangs in a driver never is.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"

/** @category models @since 0.1.0 */
export interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Why a command could not be started; `code` is `ENOENT`, `EACCES`, … @category models @since 0.1.0 */
export interface NotStarted {
  readonly code: string
  readonly message: string
}

/** Most characters kept of the output: more than any table of devices has. */
const charactersMax = 1 << 20

/**
 * Runs a command at most once at a time. While an earlier process was killed and is not gone, it fails with `onStuck`.
 * Interruption kills the process and does not wait for it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <E>(
  command: string,
  onStuck: () => E,
): (args: ReadonlyArray<string>) => Effect.Effect<Ended, E | NotStarted> => {
  let unreaped: ChildProcess | undefined
  return (args) =>
    Effect.callback<Ended, E | NotStarted>((resume) => {
      if (unreaped !== undefined) return resume(Effect.fail(onStuck()))
      const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], windowsHide: true })
      let stdout = ""
      let stderr = ""
      unreaped = child
      const gone = (): void => {
        unreaped = undefined
      }
      child.stdout.setEncoding("utf8").on("data", (text: string) => stdout.length < charactersMax && (stdout += text))
      child.stderr.setEncoding("utf8").on("data", (text: string) => stderr.length < charactersMax && (stderr += text))
      child.once("exit", gone)
      child.once("close", (status) => resume(Effect.succeed({ status, stdout, stderr })))
      child.once("error", (error: NodeJS.ErrnoException) => {
        if (child.pid === undefined) gone()
        resume(Effect.fail({ code: error.code ?? error.name, message: error.message }))
      })
      return Effect.sync(() => {
        child.stdout.destroy()
        child.stderr.destroy()
        child.unref()
        child.kill("SIGKILL")
      })
    })
}
