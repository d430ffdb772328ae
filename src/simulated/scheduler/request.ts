/**
 * A request in the scheduler of a simulated server.
 *
 * @since 0.1.0
 */
import type { Deferred } from "effect"
import type { Failure } from "../http/failure.ts"
import type { SimulatedModel } from "../models/model.ts"
import { type RunnerOptions, withLowerContext } from "./options.ts"
import type { Runner, Ticket } from "./runner.ts"

/**
 * What a request needs from the scheduler.
 *
 * @category models
 * @since 0.1.0
 */
export interface Wanted {
  readonly model: SimulatedModel
  readonly options: RunnerOptions
  /** Milliseconds; `undefined` keeps the runner's own. */
  readonly keepAlive: number | undefined
}

/**
 * A request in the scheduler, from its arrival until it releases its runner.
 *
 * @category models
 * @since 0.1.0
 */
export interface ScheduledRequest extends Ticket {
  readonly wanted: Wanted
  /** As wanted, or with a shorter context after a load that ran out of memory. */
  options: RunnerOptions
  /** Whether a load for it ran out of memory. The next one that does fails the request. */
  oomRetried: boolean
  runner: Runner | undefined
  failure: Failure | undefined
  /** Whether the client has left. */
  gone: boolean
  /** Completed when the client leaves; ends the load that the request waits for. */
  readonly left: Deferred.Deferred<void>
}

/**
 * Whether Ollama tries once more after a load that ran out of memory: with a shorter context, if it chose the context
 * itself, and with no other model loaded. (`reduceAutoNumCtxForLoadOOM`, `oomRetryAttempted`.)
 *
 * @category combinators
 * @since 0.1.0
 */
export const mayRetry = (request: ScheduledRequest, parallelism: number, loaded: number): boolean => {
  if (request.oomRetried) return false
  const lower = withLowerContext(request.options, request.wanted.model, parallelism)
  if (lower === undefined && loaded === 0) return false
  request.oomRetried = true
  request.options = lower ?? request.options
  return true
}
