/** The command `llamero`: its subcommands, its help, and how it ends. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, Layer, Runtime, Schema } from "effect"
import { CliConfig, type CliError, CliOutput, Command, GlobalFlag } from "effect/cli"
import * as NodeMain from "../layers/server/NodeMain.ts"
import { changing } from "./admin/changing.ts"
import { reading } from "./admin/reading.ts"
import * as Doctor from "./doctor/command.ts"
import * as Serve from "./serve/command.ts"
import * as Sync from "./sync/command.ts"
import * as Top from "./top/command.ts"
import { version } from "./version.ts"
import { why } from "./why.ts"

/** The subcommands, by group. Each loads what it does only when it runs. */
const groups = [
  { group: "Run the router", commands: [Serve.command, Doctor.command, Sync.command] },
  { group: "See what it does", commands: [Top.command, ...reading] },
  { group: "Change what it does", commands: changing },
] as const

const root = Command.make("llamero").pipe(
  Command.withDescription(
    "A router in front of Ollama: queues, failover, GPU memory. Exit status: 0 all right, 1 it failed or found " +
      "something wrong, 2 wrong flags.",
  ),
  Command.withSubcommands(groups),
  Command.withExamples([
    { command: "llamero serve --demo", description: "Look around without an Ollama" },
    { command: "llamero serve --backends http://10.0.0.4:11434,http://10.0.0.5:11434" },
    { command: "llamero --completions bash > /etc/bash_completion.d/llamero", description: "Completions of a shell" },
  ]),
)

/** The command line cannot be understood. It is told already. */
class WrongUsage extends Schema.TaggedError<WrongUsage>()("WrongUsage", {}) {
  override readonly [Runtime.errorExitCode] = 2
  override readonly [Runtime.errorReported] = false
  override get message(): string {
    return "the command line is wrong"
  }
}

const oneLine = ({ message }: CliError.CliError): string =>
  message.replace(/\s*Did you mean this\?\s*/, "; did you mean ").replaceAll(/\s*\n\s*/g, ", ") +
  (message.includes("Did you mean") ? "?" : "")

/** Help is for those who ask for it: whoever mistypes a flag reads one line. */
const presenter: CliOutput.Presenter = {
  present: (event) => {
    const formatter = CliOutput.defaultFormatter({ globalFlags: "summary" })
    switch (event._tag) {
      case "Help":
        return Console.log(formatter.formatHelpDoc(event.helpDoc))
      case "Version":
        return Console.log(formatter.formatVersion(event.name, event.version))
      case "InvalidInvocation":
        return Console.error(
          [...event.errors.map((error) => `llamero: ${oneLine(error)}`), `try ${event.commandPath.join(" ")} --help`]
            .join("\n"),
        )
    }
  },
}

const environment = Layer.mergeAll(
  // There is a setting --log-level, and nobody needs a wizard for flags.
  CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] }),
  CliOutput.layerPresenter(presenter),
  NodeServices.layer,
)

/** Runs a command line, without the name of the program. */
export const command = (args: ReadonlyArray<string>): Effect.Effect<void, unknown> =>
  Command.runWith(root, { version, renderErrors: true })(args).pipe(
    Effect.catchTag("ShowHelp", ({ errors }) => errors.length === 0 ? Effect.void : Effect.fail(new WrongUsage())),
    Effect.provide(environment),
  )

/** Runs a command line as the program. */
export const run = (args: ReadonlyArray<string>): void => NodeMain.runMain(command(args), { why })
