/**
 * Tokens guessed from the size of the text.
 *
 * @since 0.1.0
 */
import { Layer } from "effect"
import { TokenEstimator } from "../../services/TokenEstimator.ts"
import { leastTokens } from "./leastTokens.ts"

/**
 * Four bytes of prompt are a token, and no prompt is less than one.
 *
 * **Gotchas**
 *
 * Coarse: right for English prose, too low for code, numbers and scripts that take several tokens a character. It learns nothing.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: {
  /** Defaults to `4`. */
  readonly bytesPerToken?: number | undefined
  /** Defaults to `256`; models differ from 64 to some thousands. */
  readonly tokensPerImage?: number | undefined
}): Layer.Layer<TokenEstimator> => {
  const bytesPerToken = options?.bytesPerToken ?? 4
  const tokensPerImage = options?.tokensPerImage ?? 256
  if (!(bytesPerToken > 0)) {
    throw new RangeError(`CharactersTokenEstimator.layer: bytesPerToken must be above 0, got ${bytesPerToken}`)
  }
  return Layer.succeed(TokenEstimator, {
    estimate: (_model, promptBytes, images = 0) =>
      Math.max(1, Math.ceil(promptBytes / bytesPerToken) + images * tokensPerImage),
    atLeast: leastTokens,
    learn: () => {},
  })
}
