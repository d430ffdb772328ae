/**
 * Estimates tokens from the size of the text alone.
 *
 * @since 0.1.0
 */
import { Layer } from "effect"
import { TokenEstimator } from "../../services/TokenEstimator.ts"
import { leastTokens, renderedBytes } from "./leastTokens.ts"

/**
 * Counts `bytesPerToken` bytes of the prompt as one token, and at least one token for a prompt.
 *
 * **Gotchas**
 *
 * Coarse: about right for English prose, too low for code, numbers, and scripts with several tokens for one
 * character. It does not learn.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: {
  /** Defaults to `4`, as in English prose. */
  readonly bytesPerToken?: number | undefined
  /** Tokens of one image. Defaults to `256`; models differ, from 64 to some thousands. */
  readonly tokensPerImage?: number | undefined
}): Layer.Layer<TokenEstimator> => {
  const bytesPerToken = options?.bytesPerToken ?? 4
  const tokensPerImage = options?.tokensPerImage ?? 256
  if (!(bytesPerToken > 0)) {
    throw new RangeError(`CharactersTokenEstimator.layer: bytesPerToken must be above 0, got ${bytesPerToken}`)
  }
  const estimate = (_model: string, promptBytes: number, images = 0): number =>
    Math.max(1, Math.ceil(promptBytes / bytesPerToken) + images * tokensPerImage)
  return Layer.succeed(TokenEstimator, {
    estimate,
    atLeast: leastTokens,
    reread: (model, request) => estimate(model, renderedBytes(request), request.envelope.images),
    learn: () => {},
  })
}
