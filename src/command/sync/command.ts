/**
 * `llamero sync`: pulls models until each is where the fleet file says.
 *
 * @since 0.1.0
 */
import { Duration, Effect } from "effect"
import { CliError, Command, Flag } from "effect/cli"
import * as ModelName from "../../services/ModelName.ts"
import * as Flags from "../flags.ts"
import { lazily } from "../lazily.ts"

const names = (wanted: ReadonlyArray<string>): Effect.Effect<void, CliError.CliError> => {
  const wrong = wanted.find((name) => ModelName.problem(name) !== undefined)
  return wrong === undefined ? Effect.void : Effect.fail(
    new CliError.ValidationError({ message: `--model: no model can have the name ${JSON.stringify(wrong)}` }),
  )
}

const flags = {
  json: Flags.json,
  fleetFile: Flag.String("fleet-file").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("The fleet file; else LLAMERO_FLEET_FILE, LLAMERO_BACKENDS, OLLAMA_HOST, else this machine"),
    Flag.optional,
  ),
  models: Flag.String("model").pipe(
    Flag.withAlias("m"),
    Flag.withMetavar("NAME"),
    Flag.withDescription("A model that every backend is to have; may be given several times"),
    Flag.atLeast(0),
  ),
  apply: Flags.toggle("apply", "Perform the pulls; without it they are only planned"),
  repair: Flags.toggle("repair", "Also pull models that have different contents on several backends"),
  limit: Flags.duration("time-limit", "Longest time of one pull; 6h by default").pipe(
    Flag.withDefault(Duration.hours(6)),
  ),
}

/** @category commands @since 0.1.0 */
export const command = Command.make("sync", flags, lazily(() => import("./run.ts"), ({ run }) => run)).pipe(
  Command.validate(({ models }) => names(models)),
  Command.withShortDescription("Pull models until each is where the fleet file says"),
  Command.withDescription(
    "Say which models are missing on which backends, and with --apply pull them: one at a time for each registry, verified " +
      "by digest. Exit status 1 where at the end a model is missing or has different contents.",
  ),
  Command.withExamples([
    { command: "llamero sync --fleet-file fleet.json", description: "What is missing" },
    { command: "llamero sync --fleet-file fleet.json --apply", description: "Pull it" },
    { command: "llamero sync --model llama3.1:8b --apply --json", description: "The same model on every backend" },
  ]),
)
