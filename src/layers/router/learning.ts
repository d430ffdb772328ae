/**
 * Teaches the token estimator from the prompt tokens that backends counted.
 *
 * @since 0.1.0
 */
import type { ModelCatalog } from "../../services/ModelCatalog.ts"
import type { Outcome } from "../../services/Outcome.ts"
import type { Residency } from "../../services/Residency.ts"
import type { TokenEstimator } from "../../services/TokenEstimator.ts"
import type { Run } from "./requestState.ts"

/** Below this part of the estimate, a count is used only when Ollama cannot have cut the prompt. */
const suspicious = 0.75

/**
 * Learns from complete answers to prompts without images. Ollama cuts a prompt that is longer than the context, and
 * counts only the rest of it: the estimator must not learn from such a count.
 *
 * @internal
 */
export const learnFrom = (
  run: Run,
  { kind, usage }: Outcome,
  tokens: TokenEstimator["Service"],
  residency: Residency["Service"],
  catalog: ModelCatalog["Service"],
): void => {
  const counted = usage?.promptTokens
  const { images, promptBytes } = run.request.envelope
  if (kind !== "success" || counted === undefined || counted === 0 || images > 0 || !run.known) return
  const guessed = tokens.estimate(run.model, promptBytes)
  if (counted < guessed * suspicious) {
    const model = catalog.peek(run.model)
    const context = model === undefined || run.backend === undefined ? undefined : residency.context(run.backend, model)
    if (context !== undefined && guessed > context * suspicious) return
  }
  tokens.learn(run.model, promptBytes, counted)
}
