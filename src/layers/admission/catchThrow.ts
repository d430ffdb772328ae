/**
 * Calls code of a deployer that may throw.
 *
 * @since 0.1.0
 */
import { Effect, Result } from "effect"

/** The result of `run`; `otherwise` when it throws. What it throws is logged. @category models @since 0.1.0 */
export type CatchThrow = <A>(run: () => A, otherwise: A) => A

/** @category constructors @since 0.1.0 */
export const make: Effect.Effect<CatchThrow> = Effect.map(
  Effect.context<never>(),
  (context) => (run, otherwise) => {
    const made = Result.try(run)
    if (Result.isSuccess(made)) return made.success
    Effect.runForkWith(context)(Effect.logError("a function of an admission's queue threw", made.failure))
    return otherwise
  },
)
