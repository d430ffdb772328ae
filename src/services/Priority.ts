/**
 * The priority classes of requests.
 *
 * @since 0.1.0
 */

/**
 * `interactive` goes before `default`, and `default` before `batch`. A request that has waited long moves up.
 *
 * @category models
 * @since 0.1.0
 */
export type Priority = "interactive" | "default" | "batch"

/** All classes, the best one first. @category constants @since 0.1.0 */
export const all: ReadonlyArray<Priority> = ["interactive", "default", "batch"]
