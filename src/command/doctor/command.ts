/**
 * `llamero doctor`: looks at the backends, the GPUs and the settings, and says what is wrong, why, and what to do. What
 * it does is loaded when it runs.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { flags, type Input } from "./flags.ts"
import type { Failure, Needs, World } from "./run.ts"

/** The type of the command. */
export type Doctor = Command.Command<"doctor", Input, object, Failure, Needs>

const description =
  "Look at the Ollama servers, their GPUs and models, and the settings of the router, and say what is wrong: what was " +
  "seen, its cause, and the remedy. Nothing is changed, and no model is loaded. Exit status: 0 no error, 1 an error, or " +
  "with --strict a warning; 2 wrong flags. Advice does not count."

/** The command in other surroundings. */
export const make = (world: Partial<World> = {}): Doctor =>
  Command.make(
    "doctor",
    flags,
    (input) => Effect.flatMap(Effect.promise(() => import("./run.ts")), ({ run }) => run(input, world)),
  ).pipe(
    Command.withDescription(description),
    Command.withShortDescription("Find what is wrong with servers, GPUs and settings"),
    Command.withExamples([
      { command: "llamero doctor", description: "The backends of the settings, or the Ollama of this machine" },
      { command: "llamero doctor --backend gpu-1:11434 --backend gpu-2:11434 --model llama3.1:8b" },
      { command: "systemctl cat ollama | llamero doctor --ollama-env /dev/stdin" },
      { command: "llamero doctor --url http://127.0.0.1:11435 --json --strict" },
    ]),
  )

/** `llamero doctor`. */
export const command: Doctor = make()
