/**
 * How much memory a model takes when a backend loads it: what it is made of, how it is run, and the bytes that follow. All sizes are bytes, as plain
 * numbers; all lengths are tokens.
 *
 * @since 0.1.0
 */
import { Context, type Effect, Schema } from "effect"
import { type Backend, onCpu } from "./Fleet.ts"
import type { Model } from "./ModelCatalog.ts"

/**
 * Types of KV cache that llama.cpp offers (`OLLAMA_KV_CACHE_TYPE`).
 *
 * @category models
 * @since 0.1.0
 */
export const kvTypes = ["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"] as const

/** One of `kvTypes`. @category models @since 0.1.0 */
export type KvType = typeof kvTypes[number]

/**
 * Layers that only look back `size` tokens, so only keep about that many.
 *
 * @category models
 * @since 0.1.0
 */
export interface SlidingWindow {
  readonly size: number
  /** For each layer, whether it is one of them. */
  readonly layers: ReadonlyArray<boolean>
  /** Elements of a key there; the model's own when absent. */
  readonly keyLength?: number | undefined
  /** Elements of a value there; the model's own when absent. */
  readonly valueLength?: number | undefined
}

/**
 * What a model is made of, as far as memory depends on it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Geometry {
  /** The prefix of the keys of `model_info`: `llama`, `qwen3`. */
  readonly architecture: string
  readonly layers: number
  /** Elements of a token's state between layers. */
  readonly embeddingLength: number
  /** Attention heads: the most of any layer, 0 where there is no attention. */
  readonly heads: number
  /** Heads that keep keys and values, one number for all layers or one for each. 0 is a layer that keeps none. */
  readonly kvHeads: number | ReadonlyArray<number>
  /** Elements of a key, for each head. */
  readonly keyLength: number
  /** Elements of a value, for each head. */
  readonly valueLength: number
  /** The last layers that keep nothing because they read the cache of earlier ones. */
  readonly sharedKvLayers: number
  /** Tokens it knows; an upper bound of all known models where the backend does not say. */
  readonly vocabulary: number
  /** The longest context it is ever loaded with. */
  readonly contextTrained: number | undefined
  readonly window: SlidingWindow | undefined
  /** Multi-head latent attention: each token keeps one compressed row of this many elements for each layer, whatever the heads. */
  readonly latentLength: number | undefined
  /** Layers with a state of fixed size (Mamba, gated delta nets, RWKV, short convolutions), and its elements (4 bytes each) for one sequence and layer. */
  readonly recurrent: { readonly layers: number; readonly elements: number } | undefined
  readonly feedForward: number | undefined
  readonly experts: { readonly used: number; readonly feedForward: number } | undefined
  /** Answers with vectors: Ollama runs one sequence of it at a time, and with a larger batch. */
  readonly embedder: boolean
  /** Looks at a whole batch at once, in both directions, and computes no logits: BERT and its kin. */
  readonly encoder: boolean
  /** Sees or hears: its projector has a graph of its own. */
  readonly projector: boolean
  /** Runs with a draft, whose memory Ollama does not count. */
  readonly draft: boolean
  /** `num_batch` of its Modelfile. */
  readonly batch: number | undefined
  /**
   * Weights that stay in system memory (the token embedding), known from the list of tensors only. `tied` bytes of them are on the GPU as well, because the
   * output layer is the same tensor.
   */
  readonly inputWeights: { readonly bytes: number; readonly tied: number } | undefined
  /** Whether everything was read and the formulas are known to hold for this architecture; when not, the margin is 25 % instead of 3 %. */
  readonly exact: boolean
}

/**
 * How a model is run.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunShape {
  /** Tokens of one sequence: `num_ctx`, `context_length` of `/api/ps`. */
  readonly context: number
  /** Sequences at a time: `OLLAMA_NUM_PARALLEL`. */
  readonly parallelism: number
  /** Tokens computed at once (llama.cpp's `ub`, Ollama's `num_batch`); by Ollama's own rule when absent. */
  readonly batch: number | undefined
  readonly flashAttention: "on" | "off" | "unknown"
  readonly kvType: KvType
  /** One cache for all sequences, as llama-server has when it is not told how many there are. Ollama tells it. */
  readonly unified: boolean
  /** GPUs it is split over; 0 is system memory. */
  readonly devices: number
}

/**
 * A `RunShape` from what differs from one sequence on one GPU, an f16 cache, and no knowledge of flash attention.
 *
 * **Gotchas**
 *
 * A context or parallelism that is not a whole number of at least 1 is a programmer's mistake: it throws a `RangeError`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const shape = (options: Partial<RunShape> & { readonly context: number }): RunShape => {
  const made: RunShape = {
    parallelism: 1,
    batch: undefined,
    flashAttention: "unknown",
    kvType: "f16",
    unified: false,
    devices: 1,
    ...options,
  }
  const atLeast = (field: "context" | "parallelism" | "batch" | "devices", least: number) => {
    const value = made[field]
    if (value !== undefined && (!Number.isSafeInteger(value) || value < least)) {
      throw new RangeError(`Footprint.shape: ${field} must be a whole number of at least ${least}, got ${value}`)
    }
  }
  atLeast("context", 1)
  atLeast("parallelism", 1)
  atLeast("batch", 1)
  atLeast("devices", 0)
  return made
}

const isKvType = (text: string | undefined): text is KvType => kvTypes.some((type) => type === text)

/**
 * The shape a backend would run a model with. What cannot be read from an Ollama server is taken from the backend's labels: `kv-cache-type`,
 * `flash-attention` (`on`, `off`) and `device` (`cpu` is system memory). A label that is not understood counts as absent.
 *
 * @category constructors
 * @since 0.1.0
 */
export const shapeOn = (
  backend: Backend,
  options: Partial<RunShape> & { readonly context: number },
): RunShape => {
  const { "flash-attention": flash, "kv-cache-type": kvType } = backend.labels
  return shape({
    parallelism: backend.parallelism,
    ...(isKvType(kvType) ? { kvType } : {}),
    ...(flash === "on" || flash === "off" ? { flashAttention: flash } : {}),
    ...(onCpu(backend) ? { devices: 0 } : {}),
    ...options,
  })
}

/**
 * What the bytes are for.
 *
 * @category models
 * @since 0.1.0
 */
export interface FootprintParts {
  readonly weights: {
    /** On GPUs. An upper bound, the whole file, where the list of tensors is not known. */
    readonly gpu: number
    /** In system memory, not counted in `total` unless that is where the model runs. */
    readonly cpu: number
  }
  /** Keys and values of attention. */
  readonly kv: number
  /** State of recurrent layers. */
  readonly recurrent: number
  /** Buffers the graph is computed in, on all devices together. */
  readonly compute: number
  /** Buffers of the projector's graph; its weights are among the others. */
  readonly projector: number
  /** What the process takes besides: CUDA context, cuBLAS. Not in `/api/ps`. */
  readonly overhead: number
}

/**
 * Memory to set aside for one model on one backend.
 *
 * @category models
 * @since 0.1.0
 */
export interface Footprint {
  /** `undefined` where only the sum is known. The parts of a learned footprint are still the estimated ones. */
  readonly parts: FootprintParts | undefined
  /** Bytes on the devices it runs on. */
  readonly total: number
  /** Bytes added because `total` may be wrong. */
  readonly margin: number
  /** `total + margin`: what a ledger charges. */
  readonly reserve: number
  /** By formula, by observation, or by the manifest. */
  readonly source: "estimated" | "learned" | "pinned"
}

/**
 * What was seen after a load.
 *
 * @category models
 * @since 0.1.0
 */
export interface Observation {
  /** `size` of `/api/ps`. */
  readonly size: number
  /** `size_vram` of `/api/ps`. */
  readonly sizeVram: number
  /** Bytes by which the drivers' free memory fell over the load. Only where no other load was in flight on these devices. */
  readonly freeDrop?: number | undefined
}

/**
 * What an observation changed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Lesson {
  readonly before: Footprint | undefined
  readonly after: Footprint | undefined
  /** Bytes seen above what was set aside, 0 when it was enough. Above 0 somebody should be told: until now less was charged than was taken. */
  readonly exceeded: number
}

/**
 * The manifest is not one: not JSON, unknown fields, numbers that are not bytes.
 *
 * @category errors
 * @since 0.1.0
 */
export class ManifestInvalid extends Schema.TaggedError<ManifestInvalid>()("ManifestInvalid", {
  description: Schema.String,
}) {}

/**
 * The one error of `ModelFootprints`, at construction only.
 *
 * @category errors
 * @since 0.1.0
 */
export class FootprintError extends Schema.TaggedError<FootprintError>()("FootprintError", {
  reason: Schema.Union([ManifestInvalid]),
}) {
  override get message(): string {
    return this.reason.description
  }
}

/**
 * Footprints of the fleet's models.
 *
 * @category services
 * @since 0.1.0
 */
export class ModelFootprints extends Context.Service<ModelFootprints, {
  /** From what is known now: pinned, else learned, else estimated. `undefined` is "not known yet", never "nothing". Synchronous. */
  readonly of: (model: Model, backend: Backend, shape: RunShape) => Footprint | undefined
  /** What the model is made of there, once read. Synchronous. */
  readonly geometry: (model: Model, backend: Backend) => Geometry | undefined
  /** Takes note of what a load took. Synchronous: the next `of` knows it. */
  readonly learn: (model: Model, backend: Backend, shape: RunShape, observation: Observation) => Lesson
  /** Reads what `of` needs for this model there, unless it is known; ends, having failed or not, when it has been tried. */
  readonly prepare: (model: Model, backend: Backend) => Effect.Effect<void>
  /** Rises with every change of an answer of `of`. */
  readonly version: () => number
}>()("llamero/services/Footprint/ModelFootprints") {}
