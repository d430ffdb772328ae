/**
 * Loads the code of a command when the command runs.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"

/** A handler from a module that is loaded now. @category handlers @since 0.1.0 */
export const lazily = <Module, Input, E, R>(
  load: () => Promise<Module>,
  handler: (module: Module) => (input: Input) => Effect.Effect<void, E, R>,
) =>
(input: Input): Effect.Effect<void, E, R> => Effect.flatMap(Effect.promise(load), (module) => handler(module)(input))
