/**
 * `llamero top`: the state of a router in a terminal.
 *
 * @since 0.1.0
 */
import { Command } from "effect/cli"
import * as Flags from "../flags.ts"
import { lazily } from "../lazily.ts"

/** @category commands @since 0.1.0 */
export const command = Command.make("top", {
  ...Flags.asking,
  once: Flags.toggle("once", "Print one frame and end, as it does where there is no terminal"),
  ascii: Flags.toggle("ascii", "Draw with ASCII characters only"),
}, lazily(() => import("./run.ts"), ({ run }) => run)).pipe(
  Command.withShortDescription("Show the router live in the terminal"),
  Command.withDescription(
    "Show the router live: backends with the memory of their models, queues, streams, breakers and rates. q ends it.",
  ),
  Command.withExamples([
    { command: "llamero top" },
    { command: "llamero top --once --ascii", description: "One picture, for a mail or a ticket" },
    { command: "llamero top --json", description: "The state, as /admin/state has it" },
  ]),
)
