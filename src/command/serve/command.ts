/** `llamero serve`. Its server is loaded when it runs. */
import { Effect } from "effect"
import { CliError, Command, Flag } from "effect/cli"
import process from "node:process"
import type { CheckFailed } from "./check.ts"
import * as Flags from "./flags.ts"
import type { Failure } from "./run.ts"

const input = {
  check: Flag.Boolean("check").pipe(
    Flag.withDescription("Read all settings and files, ask every backend, tell everything that is wrong, and end"),
    Flag.withDefault(false),
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("With --check: the findings as JSON"),
    Flag.withDefault(false),
  ),
  demo: Flag.Boolean("demo").pipe(
    Flag.withDescription("Route to a simulated Ollama, with the status page on; every answer is made up"),
    Flag.withDefault(false),
  ),
  settings: Flags.settings,
}

const served = Command.make(
  "serve",
  input,
  Effect.fnUntraced(function* ({ check, demo, json, settings }) {
    const given = { flags: Flags.given(settings), env: process.env, demo }
    if (check) {
      const Check = yield* Effect.promise(() => import("./check.ts"))
      return yield* Check.run(given, json)
    }
    const Run = yield* Effect.promise(() => import("./run.ts"))
    return yield* Run.serve(given)
  }),
)

const checked = Command.validate(
  served,
  ({ check, json }) =>
    json && !check ? Effect.fail(new CliError.ValidationError({ message: "--json goes with --check" })) : Effect.void,
)

/** Its flags are its own affair. */
export const command: Command.Command<"serve", never, object, Failure | CheckFailed> = checked.pipe(
  Command.withShortDescription("Run the router"),
  Command.withDescription(
    "Run the router. Settings come from flags, then from a file (--config, or llamero.json, llamero.yaml or llamero.yml " +
      "in the working folder), then from the environment: LLAMERO_QUEUE_CAPACITY for --queue-capacity, and queueCapacity " +
      "in the file.",
  ),
  Command.withExamples([
    { command: "llamero serve --demo", description: "Look around without an Ollama" },
    { command: "llamero serve --backends http://10.0.0.4:11434,http://10.0.0.5:11434 --vram" },
    { command: "llamero serve --config /etc/llamero.yaml --check", description: "Is the configuration right?" },
  ]),
)
