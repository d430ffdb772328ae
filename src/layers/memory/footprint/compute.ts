/**
 * The bytes of the compute buffer, in which llama.cpp keeps the results of one batch.
 *
 * @since 0.1.0
 */
import type { RunShape } from "../../../services/Footprint.ts"
import type { Geometry } from "../../../services/Geometry.ts"
import { runOf } from "./run.ts"
import * as Versions from "./versions.ts"

/** Small buffers that have no formula here. */
const restBytes = 32 * 1024 * 1024

/** Elements for each token of the batch while a layer is computed. */
interface Elements {
  /** The logits, if every token of the batch has some. */
  readonly logits: number
  /** The feed-forward layer, and the states around it. */
  readonly activations: number
  readonly experts: number
}

const elementsOf = ({ embeddingLength, experts, feedForward, vocabulary }: Geometry): Elements => ({
  logits: vocabulary + embeddingLength,
  activations: 3 * (feedForward ?? 4 * embeddingLength) + 3 * embeddingLength,
  experts: experts === undefined ? 0 : experts.used * (2 * experts.feedForward + embeddingLength),
})

/**
 * Models for which it was measured that only the last tokens have logits: dense, with full or windowed attention.
 * Embedders give out a vector for every token, so all of their tokens have some.
 */
const isMeasured = ({ embedder, exact, experts, latentLength, recurrent }: Geometry): boolean =>
  exact && !embedder && experts === undefined && latentLength === undefined && recurrent === undefined

/**
 * An upper bound of the bytes of the compute buffer of one device.
 *
 * **Details**
 *
 * - Without flash attention, 4 bytes times the batch times the larger of the logits (`vocabulary + embedding`) and
 *   the attention scores of one layer (`1 + 4 * embedding + cells * (1 + heads)`). Exact for llama and qwen.
 * - With it there are no scores, only the mask (2 bytes for each token of the batch and each cell of its sequence) and
 *   32 MiB of other buffers. This is 2 to 33 % above what builds of llama.cpp before 2026 logged.
 * - Ollama 0.33 reserves logits only for the last token of each sequence. What is left for each token are the states
 *   of the feed-forward layer: `3 * feed forward + 3 * embedding`. On an H100 that is within 2 % of what dense models
 *   took, besides the 32 MiB. For other models the bound with all logits stays.
 * - If flash attention is `"unknown"`, the larger of both.
 * - An encoder has no logits, and its attention covers only the batch:
 *   `3 * embedding + feed forward + batch * (1 + heads)`. Fitted to one model.
 *
 * `version` is the version of Ollama; one that is not known counts as a current one.
 *
 * @category accessors
 * @since 0.1.0
 */
export const computeBytes = (geometry: Geometry, shape: RunShape, version?: string): number => {
  const { batch, cells, flashAttention, maskCells, parallelism } = runOf(geometry, shape)
  const { embeddingLength, heads } = geometry
  if (geometry.encoder) {
    const feedForward = geometry.feedForward ?? 4 * embeddingLength
    return 4 * batch * (3 * embeddingLength + feedForward + batch * (1 + heads))
  }
  const { activations, experts, logits } = elementsOf(geometry)
  const without = 4 * batch * Math.max(logits, experts, 1 + 4 * embeddingLength + cells * (1 + heads))
  const all = 4 * batch * Math.max(logits, experts, activations)
  const last = 4 * (batch * activations + parallelism * logits)
  const isLast = (Versions.keepsLastLogits(version) ?? true) && isMeasured(geometry)
  const withIt = (isLast ? Math.min(all, last) : all) + 2 * batch * maskCells + restBytes
  return flashAttention === "on" ? withIt : flashAttention === "off" ? without : Math.max(withIt, without)
}
