/**
 * A model on the disk of a simulated server, and how one is made.
 *
 * @since 0.1.0
 */
import { createHash } from "node:crypto"

/**
 * SHA-256 as hex digits.
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
  /** The canonical name without default parts: `llama3.1:8b`. */
  readonly name: string
  /** SHA-256 of the weights. Models with the same blob share one runner, under any name. */
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
  /** The context that it was trained with, in tokens. It is never loaded with more. */
  readonly contextTrained: number
  /** Bytes of compute and output buffers, for any context. */
  readonly overhead: number
  /**
   * How tokens are counted: `bytes` and `wordpiece` as the tiny models of the captures count them, `chars4` as one
   * token for four characters.
   */
  readonly tokenizer: "bytes" | "wordpiece" | "chars4"
  /** Tokens of an answer before the model stops by itself; `Infinity` if it never stops. */
  readonly answer: number
  readonly template: string
  /** Parameters of its Modelfile: `{ num_ctx: 8192 }`. */
  readonly parameters: Readonly<Record<string, unknown>>
  readonly system: string
  readonly license: string
  /** Milliseconds since 1970. */
  readonly modifiedAt: number
}

const modified = Date.UTC(2026, 0, 15, 12)

/**
 * Makes a model. What `options` leaves out is taken from a one-block llama; blob and digest are made from the name.
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
 * The same weights under another name. It shares the runner, as a model made with `FROM` does.
 *
 * @category constructors
 * @since 0.1.0
 */
export const alias = (of: SimulatedModel, name: string, options?: Partial<SimulatedModel>): SimulatedModel =>
  model({ ...of, digest: sha256(`manifest of ${name}`), ...options, name })

/**
 * Whether it is an embedding model: such a model generates nothing, and its runner serves one request at a time.
 *
 * @category guards
 * @since 0.1.0
 */
export const isEmbedder = (self: SimulatedModel): boolean => self.capabilities.includes("embedding")
