/**
 * Tokens guessed from the size of the text, by what each model made of earlier prompts.
 *
 * @since 0.1.0
 */
import { Layer } from "effect"
import { TokenEstimator } from "../../services/TokenEstimator.ts"
import { leastTokens } from "./leastTokens.ts"

/** What is known of one model. */
interface Learned {
  /** The logarithm of bytes per token. */
  level: number
  samples: number
}

/** In a short prompt the chat template counts for more than the text. */
const bytesMin = 256
/** A prompt that was cut, or is all numbers: nothing to learn from. */
const bytesPerTokenMin = 1
const bytesPerTokenMax = 16
/** How far one prompt can pull, as a logarithm: a few that are far off are outvoted by the many that are not. */
const pullMax = 0.25
/** A new sample never counts for less than this, so that what is learned follows a change of clients. */
const weightMin = 0.02

/**
 * Begins with `bytesPerToken` for every model and follows what its prompts really were.
 *
 * **Details**
 *
 * The estimate of a model is a moving average of the logarithm of bytes per token, each sample's pull cut off at a quarter: a prompt that the backend
 * cut to fit, or that is nothing like the others, moves it by little, whatever it claims. One number and a count for each model, of at most `modelsMax`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: {
  /** Where nothing has been learned. Defaults to `4`. */
  readonly bytesPerToken?: number | undefined
  /** Defaults to `256`; models differ from 64 to some thousands. */
  readonly tokensPerImage?: number | undefined
  /** Models remembered; one more, and all are learned anew. Defaults to `1024`. */
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
    return {
      estimate: (model, promptBytes, images = 0) => {
        const learned = models.get(model)
        const per = learned === undefined ? bytesPerToken : Math.exp(learned.level)
        return Math.max(1, Math.ceil(promptBytes / per) + images * tokensPerImage)
      },
      atLeast: leastTokens,
      learn: (model, promptBytes, tokens) => {
        const seen = promptBytes / tokens
        if (promptBytes < bytesMin || !(seen >= bytesPerTokenMin && seen <= bytesPerTokenMax)) return
        let learned = models.get(model)
        if (learned === undefined) {
          if (models.size >= modelsMax) models.clear()
          models.set(model, learned = { level: first, samples: 0 })
        }
        const pull = Math.max(-pullMax, Math.min(pullMax, Math.log(seen) - learned.level))
        learned.samples++
        learned.level += pull * Math.max(weightMin, 1 / (learned.samples + 1))
      },
    }
  })
}
