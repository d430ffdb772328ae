/**
 * The models of a simulated server: what is on its disk.
 *
 * @since 0.1.0
 */
import { createHash } from "node:crypto"

/**
 * SHA-256 in hex.
 *
 * @category constructors
 * @since 0.1.0
 */
export const sha256 = (data: string | Uint8Array): string => createHash("sha256").update(data).digest("hex")

/**
 * A model on a simulated server's disk.
 *
 * @category models
 * @since 0.1.0
 */
export interface SimulatedModel {
  /** Short and canonical: `llama3.1:8b`. */
  readonly name: string
  /** SHA-256 of the weights. Models with one blob share one runner, whatever their names. */
  readonly blob: string
  /** SHA-256 of the manifest; differs between aliases. */
  readonly digest: string
  /** Bytes of the weights. */
  readonly size: number
  readonly capabilities: ReadonlyArray<string>
  /** `llama`, `bert`: the prefix of the keys in `model_info`. */
  readonly architecture: string
  readonly family: string
  readonly parameterCount: number
  readonly parameterSize: string
  readonly quantization: string
  readonly blocks: number
  readonly heads: number
  readonly kvHeads: number
  readonly embeddingLength: number
  readonly feedForward: number
  readonly vocabulary: number
  /** The context it was trained with: the most it is ever loaded with. */
  readonly contextTrained: number
  /** Bytes of compute and output buffers, whatever the context. */
  readonly overhead: number
  /** `bytes` and `wordpiece` count as the tiny models of the captures do; `chars4` is one token per four characters. */
  readonly tokenizer: "bytes" | "wordpiece" | "chars4"
  /** Tokens it says before it stops by itself; `Infinity` for a model that never does. */
  readonly answer: number
  readonly template: string
  /** Lines of its Modelfile, by parameter: `{ num_ctx: 8192 }`. */
  readonly parameters: Readonly<Record<string, unknown>>
  readonly system: string
  readonly license: string
  /** Milliseconds since 1970. */
  readonly modifiedAt: number
}

const modified = Date.UTC(2026, 0, 15, 12)

/**
 * A model from what differs from a one-block llama; blob and digest follow from the name unless given.
 *
 * @category constructors
 * @since 0.1.0
 */
export const model = (options: Partial<SimulatedModel> & { readonly name: string }): SimulatedModel => {
  const name = options.name.includes(":") ? options.name : `${options.name}:latest`
  const made: SimulatedModel = {
    blob: sha256(`blob of ${name}`),
    digest: sha256(`manifest of ${name}`),
    size: 634016,
    capabilities: ["completion"],
    architecture: "llama",
    family: options.architecture ?? "llama",
    parameterCount: 152704,
    parameterSize: "153K",
    quantization: "unknown",
    blocks: 1,
    heads: 2,
    kvHeads: 1,
    embeddingLength: 128,
    feedForward: 64,
    vocabulary: 307,
    contextTrained: 4096,
    overhead: 5762297,
    tokenizer: "bytes",
    answer: 48,
    template: "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:",
    parameters: {},
    system: "",
    license: "",
    modifiedAt: modified,
    ...options,
    name,
  }
  if (!(made.size >= 0) || !(made.blocks >= 1) || !(made.contextTrained >= 1)) {
    throw new RangeError(`SimulatedModel.model: size, blocks and contextTrained must be positive, got ${name}`)
  }
  return made
}

/**
 * The same weights under another name: shares the runner, as models made with `FROM` do.
 *
 * @category constructors
 * @since 0.1.0
 */
export const alias = (of: SimulatedModel, name: string, options?: Partial<SimulatedModel>): SimulatedModel =>
  model({ ...of, digest: sha256(`manifest of ${name}`), ...options, name })

/**
 * Says ` word00` to ` word47`, then stops. The tiny models are those the captures of a real server were made with.
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
 * As `tinyEos`, but goes round for ever. Bound it (`num_predict`) or abort it.
 *
 * @category models
 * @since 0.1.0
 */
export const tinyLoop: SimulatedModel = model({ name: "tiny-loop", answer: Infinity })

/**
 * As `tinyEos`, from other weights.
 *
 * @category models
 * @since 0.1.0
 */
export const tinyB: SimulatedModel = model({ name: "tiny-b" })

/**
 * An embedder of 64 dimensions.
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
 * All four, in the order of the captures.
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
 * An embedder of the 1.5B class, 1536 dimensions.
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

/**
 * Whether a model only embeds: such a model generates nothing, and its runner serves one request at a time.
 *
 * @category guards
 * @since 0.1.0
 */
export const isEmbedder = (self: SimulatedModel): boolean => self.capabilities.includes("embedding")
