/**
 * How many tokens a prompt is, before anybody has tokenised it.
 *
 * @since 0.1.0
 */
import { Context } from "effect"

/**
 * Synchronous estimates.
 *
 * @category services
 * @since 0.1.0
 */
export class TokenEstimator extends Context.Service<TokenEstimator, {
  /** Tokens in so many bytes of prompt for a model (canonical key). */
  readonly estimate: (model: string, promptBytes: number) => number
  /** What it really was (`prompt_eval_count`), for those that learn. */
  readonly learn: (model: string, promptBytes: number, tokens: number) => void
}>()("llamero/services/TokenEstimator") {}
