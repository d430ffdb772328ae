/**
 * Estimates how many tokens a prompt has, without a tokeniser.
 *
 * @since 0.1.0
 */
import { Context } from "effect"
import type { RoutedRequest } from "./RoutedRequest.ts"

const key = "llamero/services/TokenEstimator"
const Base: Context.ServiceClass<TokenEstimator, typeof key, Service> = Context.Service<TokenEstimator, Service>()(key)

/**
 * Synchronous estimates of the tokens of prompts.
 *
 * @category services
 * @since 0.1.0
 */
export class TokenEstimator extends Base {}

/** The members of `TokenEstimator`. @category services @since 0.1.0 */
export interface Service {
  /**
   * Estimated tokens of `promptBytes` bytes of text and `images` images, for a model (canonical key). Takes constant
   * time.
   */
  readonly estimate: (model: string, promptBytes: number, images?: number) => number
  /**
   * A lower bound that holds for every tokeniser in use. It reads the whole prompt, so it is for the few requests
   * where the estimate is not enough.
   */
  readonly atLeast: (request: RoutedRequest) => number
  /**
   * As `estimate`, for a request, without what no model reads of it. It reads the whole prompt, so it is for the few
   * requests where the estimate is not enough. Absent: the estimate is used.
   */
  readonly reread?: ((model: string, request: RoutedRequest) => number) | undefined
  /** The real number of tokens of a prompt without images (`prompt_eval_count`), for estimators that learn. */
  readonly learn: (model: string, promptBytes: number, tokens: number) => void
}
