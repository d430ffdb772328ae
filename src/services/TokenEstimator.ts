/**
 * How many tokens a prompt is, before anybody has tokenised it.
 *
 * @since 0.1.0
 */
import { Context } from "effect"
import type { RoutedRequest } from "./RoutedRequest.ts"

/**
 * Synchronous estimates.
 *
 * @category services
 * @since 0.1.0
 */
export class TokenEstimator extends Context.Service<TokenEstimator, {
  /** Tokens in so many bytes of prompt, images apart, for a model (canonical key). Costs next to nothing. */
  readonly estimate: (model: string, promptBytes: number, images?: number) => number
  /** No tokeniser in use makes fewer tokens of the prompt. Reads all of it, so it is for the few requests where the estimate leaves a doubt. */
  readonly atLeast: (request: RoutedRequest) => number
  /** What a prompt without images really was (`prompt_eval_count`), for those that learn. */
  readonly learn: (model: string, promptBytes: number, tokens: number) => void
}>()("llamero/services/TokenEstimator") {}
