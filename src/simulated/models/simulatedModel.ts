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
 * Whether a model only embeds: such a model generates nothing, and its runner serves one request at a time.
 *
 * @category guards
 * @since 0.1.0
 */
export const isEmbedder = (self: SimulatedModel): boolean => self.capabilities.includes("embedding")
