/** Runs the commands of `llamero` in this process, with their output and their exit status. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, ConfigProvider, Console, Effect, Exit, Layer, Runtime } from "effect"
import { CliOutput, Command, TerminalCapabilities } from "effect/cli"
import { changing } from "../../src/command/admin/changing.ts"
import { reading } from "../../src/command/admin/reading.ts"
import * as Sync from "../../src/command/sync/command.ts"
import * as Top from "../../src/command/top/command.ts"

export const root = Command.make("llamero").pipe(
  Command.withSubcommands([...reading, ...changing, Top.command, Sync.command]),
)

export interface Ran {
  /** The standard output, without the end of its last line. */
  readonly out: string
  /** The standard error output, with the message of the failure. */
  readonly err: string
  readonly status: number
  // deno-lint-ignore no-explicit-any
  readonly json: any
}

/** No terminal, as for a program. */
export const piped: TerminalCapabilities.TerminalCapabilities = { canColor: false, canAnimate: false, canPrompt: false }

/** `run("backends --json", { LLAMERO_URL: url })`; arguments with blanks in an array. */
export const run = (
  line: string | ReadonlyArray<string>,
  env: Readonly<Record<string, string>> = {},
  capabilities = piped,
): Effect.Effect<Ran> =>
  Effect.gen(function* () {
    const out: Array<string> = []
    const err: Array<string> = []
    const console = {
      ...globalThis.console,
      log: (text: string) => void out.push(text),
      error: (text: string) => void err.push(text),
    }
    const args = typeof line === "string" ? line.split(" ").filter((word) => word !== "") : line
    const exit = yield* Command.runWith(root, { version: "0.0.0" })(args).pipe(
      Effect.provide(Layer.mergeAll(
        NodeServices.layer,
        CliOutput.layer(CliOutput.defaultFormatter({ colors: false })),
        ConfigProvider.layer(ConfigProvider.fromEnvRecord(env)),
      )),
      Effect.provideService(TerminalCapabilities.TerminalCapabilities, capabilities),
      Effect.provideService(Console.Console, console),
      Effect.exit,
    )
    const error = Exit.isSuccess(exit) ? undefined : Cause.squash(exit.cause)
    if (error instanceof Error) err.push(error.message)
    const text = out.join("\n")
    let json: unknown
    try {
      json = JSON.parse(text)
    } catch {
      json = undefined
    }
    return { out: text, err: err.join("\n"), status: error === undefined ? 0 : Runtime.getErrorExitCode(error), json }
  })
