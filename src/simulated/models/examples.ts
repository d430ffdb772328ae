/**
 * Models that are ready to use: the tiny ones of the captures, and three real ones.
 *
 * @since 0.1.0
 */
import { model, type SimulatedModel } from "./simulatedModel.ts"

/**
 * Answers ` word00` to ` word47`, then stops. The captures of a real server were made with the tiny models.
 *
 * @category models
 * @since 0.1.0
 */
export const tinyEos: SimulatedModel = model({
  name: "tiny-eos",
  blob: "b2c9b8743e3df9cc5d4ff81a68a130498c2eb7bf0a4ce01d5f8a17c233564df8",
  digest: "8b5ae27d5be2edf3fd68191a052d102a0003ddd560ce7d039ec0bddba1808e13",
})

/**
 * As `tinyEos`, but its answer never ends. Limit it with `num_predict`, or abort it.
 *
 * @category models
 * @since 0.1.0
 */
export const tinyLoop: SimulatedModel = model({ name: "tiny-loop", answer: Infinity })

/**
 * As `tinyEos`, with other weights.
 *
 * @category models
 * @since 0.1.0
 */
export const tinyB: SimulatedModel = model({ name: "tiny-b" })

/**
 * An embedding model of 64 dimensions.
 *
 * @category models
 * @since 0.1.0
 */
export const tinyEmbed: SimulatedModel = model({
  name: "tiny-embed",
  size: 263168,
  capabilities: ["embedding"],
  architecture: "bert",
  parameterCount: 63296,
  parameterSize: "63.30K",
  kvHeads: 2,
  embeddingLength: 64,
  vocabulary: 80,
  contextTrained: 512,
  overhead: 4194304,
  tokenizer: "wordpiece",
  template: "{{ .Prompt }}",
})

/**
 * All four tiny models, in the order of the captures.
 *
 * @category models
 * @since 0.1.0
 */
export const tinyModels: ReadonlyArray<SimulatedModel> = [tinyEos, tinyLoop, tinyB, tinyEmbed]

const mebibyte = 1024 * 1024

const real = { tokenizer: "chars4", overhead: 560 * mebibyte, template: "{{ .Prompt }}" } as const

/**
 * Llama 3.1 8B, Q4_K_M: 4.9 GB of weights, 128 KiB of KV cache per token.
 *
 * @category models
 * @since 0.1.0
 */
export const llama31: SimulatedModel = model({
  ...real,
  name: "llama3.1:8b",
  size: 4920738944,
  capabilities: ["completion", "tools"],
  parameterCount: 8030261312,
  parameterSize: "8.0B",
  quantization: "Q4_K_M",
  blocks: 32,
  heads: 32,
  kvHeads: 8,
  embeddingLength: 4096,
  feedForward: 14336,
  vocabulary: 128256,
  contextTrained: 131072,
})

/**
 * Mistral 7B v0.3, Q4_K_M.
 *
 * @category models
 * @since 0.1.0
 */
export const mistral: SimulatedModel = model({
  ...real,
  name: "mistral:7b",
  size: 4372811936,
  capabilities: ["completion", "tools"],
  parameterCount: 7248023552,
  parameterSize: "7.2B",
  quantization: "Q4_K_M",
  blocks: 32,
  heads: 32,
  kvHeads: 8,
  embeddingLength: 4096,
  feedForward: 14336,
  vocabulary: 32768,
  contextTrained: 32768,
})

/**
 * An embedding model of the 1.5B class, 1536 dimensions.
 *
 * @category models
 * @since 0.1.0
 */
export const embedder: SimulatedModel = model({
  ...real,
  name: "gte-qwen2:1.5b",
  size: 1888514048,
  capabilities: ["embedding"],
  architecture: "qwen2",
  parameterCount: 1543714304,
  parameterSize: "1.5B",
  quantization: "Q8_0",
  blocks: 28,
  heads: 12,
  kvHeads: 2,
  embeddingLength: 1536,
  feedForward: 8960,
  vocabulary: 151936,
  contextTrained: 32768,
})
