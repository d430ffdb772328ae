/**
 * What changed between versions of Ollama, as far as memory is concerned.
 *
 * @since 0.1.0
 */

/** Whether a version is `0.minor` or later; `undefined` if the version cannot be read. */
const since = (version: string | undefined, minor: number): boolean | undefined => {
  const parts = /^v?(\d+)\.(\d+)/.exec(version ?? "")
  return parts === null ? undefined : Number(parts[1]) > 0 || Number(parts[2]) >= minor
}

/**
 * Whether llama-server runs the models, which since 0.30 is so. It decides about flash attention by itself, and
 * `/api/ps` shows the buffers that it logged. Before that Ollama decided, and showed its own estimate.
 *
 * @category predicates
 * @since 0.1.0
 */
export const runsLlamaServer = (version: string | undefined): boolean | undefined => since(version, 30)

/**
 * Whether the compute buffer has logits only for the last token of each sequence. Measured with 0.33 (llama.cpp
 * b10488). Logs of older builds show logits for every token of the batch.
 *
 * @category predicates
 * @since 0.1.0
 */
export const keepsLastLogits = (version: string | undefined): boolean | undefined => since(version, 33)
