/**
 * Estimates tokens from the size of the text and from what earlier prompts of the same model came to.
 *
 * @since 0.1.0
 */
import { Layer } from "effect"
import { TokenEstimator } from "../../services/TokenEstimator.ts"
import { movingAverage } from "../../support/movingAverage.ts"
import { leastTokens, renderedBytes } from "./leastTokens.ts"

/** What was learned about one model. */
interface Learned {
  /** Moving average of the logarithm of bytes per token. */
  logBytesPerToken: number
  samples: number
}

/** Shorter prompts are ignored: there the chat template has more tokens than the text. */
const bytesMin = 256
/** Ratios outside these bounds are ignored: the prompt was cut, or is all numbers. */
const bytesPerTokenMin = 1
const bytesPerTokenMax = 16
/** The most that one prompt counts as different, as a logarithm, so that a few unusual prompts change little. */
const differenceMax = 0.25
/** The least weight of a new prompt, so that the average follows a change of clients. */
const weightMin = 0.02

/**
 * Begins with `bytesPerToken` for every model and learns from the real numbers of tokens.
 *
 * **Details**
 *
 * The estimate of a model is a moving average of the logarithm of bytes per token. A prompt counts as at most a
 * quarter away from the average, so a prompt that the backend cut, or that is unlike the others, changes it little.
 * Kept are two numbers for each of at most `modelsMax` models.
 *
 * No tokeniser library is used: every family of models has its own tokeniser, which Ollama does not expose.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: {
  /** Bytes per token of a model about which nothing was learned. Defaults to `4`, as in English prose. */
  readonly bytesPerToken?: number | undefined
  /** Tokens of one image. Defaults to `256`; models differ, from 64 to some thousands. */
  readonly tokensPerImage?: number | undefined
  /** Models remembered. When there is one more, all are forgotten. Defaults to `1024`. */
  readonly modelsMax?: number | undefined
}): Layer.Layer<TokenEstimator> => {
  const bytesPerToken = options?.bytesPerToken ?? 4
  const tokensPerImage = options?.tokensPerImage ?? 256
  const modelsMax = options?.modelsMax ?? 1024
  if (!(bytesPerToken >= bytesPerTokenMin && bytesPerToken <= bytesPerTokenMax)) {
    throw new RangeError(
      `CalibratedTokenEstimator.layer: bytesPerToken must be from ${bytesPerTokenMin} to ${bytesPerTokenMax}, got ${bytesPerToken}`,
    )
  }
  const first = Math.log(bytesPerToken)
  return Layer.sync(TokenEstimator, () => {
    const models = new Map<string, Learned>()
    const estimate = (model: string, promptBytes: number, images = 0): number => {
      const learned = models.get(model)
      const per = learned === undefined ? bytesPerToken : Math.exp(learned.logBytesPerToken)
      return Math.max(1, Math.ceil(promptBytes / per) + images * tokensPerImage)
    }
    return {
      estimate,
      atLeast: leastTokens,
      reread: (model, request) => estimate(model, renderedBytes(request), request.envelope.images),
      learn: (model, promptBytes, tokens) => {
        const seen = promptBytes / tokens
        if (promptBytes < bytesMin || !(seen >= bytesPerTokenMin && seen <= bytesPerTokenMax)) return
        let learned = models.get(model)
        if (learned === undefined) {
          if (models.size >= modelsMax) models.clear()
          models.set(model, learned = { logBytesPerToken: first, samples: 0 })
        }
        const before = learned.logBytesPerToken
        const bounded = Math.max(before - differenceMax, Math.min(before + differenceMax, Math.log(seen)))
        learned.samples++
        const weight = Math.max(weightMin, 1 / (learned.samples + 1))
        learned.logBytesPerToken = movingAverage(before, bounded, weight)
      },
    }
  })
}
