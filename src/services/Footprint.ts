/**
 * How much memory a model takes when a backend loads it. All sizes are bytes, as plain numbers; all lengths are tokens.
 *
 * @since 0.1.0
 */
import { Context, type Effect, Schema } from "effect"
import { type Backend, onCpu } from "./Fleet.ts"
import type { Geometry } from "./Geometry.ts"
import type { Model } from "./ModelCatalog.ts"
import type { TaggedErrorClass } from "./taggedErrorClass.ts"

/**
 * The types of KV cache that llama.cpp has (`OLLAMA_KV_CACHE_TYPE`).
 *
 * @category models
 * @since 0.1.0
 */
export const kvTypes = ["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"] as const

/** One of `kvTypes`. @category models @since 0.1.0 */
export type KvType = typeof kvTypes[number]

/**
 * How a backend runs a model.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunShape {
  /** Tokens of one sequence: `num_ctx`, or `context_length` of `/api/ps`. */
  readonly context: number
  /** Sequences at the same time: `OLLAMA_NUM_PARALLEL`. */
  readonly parallelism: number
  /** Tokens computed at once (`ub` of llama.cpp, `num_batch` of Ollama); by Ollama's own rule when absent. */
  readonly batch: number | undefined
  /**
   * `on` and `off` as `OLLAMA_FLASH_ATTENTION` says. `auto` is Ollama's default: on, where the device has a kernel for
   * the model. `unknown` counts the larger of both.
   */
  readonly flashAttention: "on" | "off" | "auto" | "unknown"
  readonly kvType: KvType
  /** Whether all sequences share one cache. llama-server does so by default; with Ollama each sequence has its own. */
  readonly unified: boolean
  /** GPUs that the model is split over; 0 means system memory. */
  readonly devices: number
}

/**
 * A `RunShape` with these defaults: one sequence, one GPU, an f16 cache, a cache for each sequence, and flash
 * attention `"auto"`.
 *
 * **Gotchas**
 *
 * Throws a `RangeError` if context, parallelism or batch is not a whole number of at least 1, or devices not one of
 * at least 0.
 *
 * @category constructors
 * @since 0.1.0
 */
export const shape = (options: Partial<RunShape> & { readonly context: number }): RunShape => {
  const made: RunShape = {
    parallelism: 1,
    batch: undefined,
    flashAttention: "auto",
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
 * The shape in which a backend would run a model. What an Ollama server does not report is taken from the labels of
 * the backend: `kv-cache-type`, `flash-attention` (`on`, `off`, `unknown`) and `device` (`cpu` means system memory). A
 * label with another value is ignored.
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
    ...(flash === "on" || flash === "off" || flash === "unknown" ? { flashAttention: flash } : {}),
    ...(onCpu(backend) ? { devices: 0 } : {}),
    ...options,
  })
}

/**
 * The bytes of a footprint by purpose.
 *
 * @category models
 * @since 0.1.0
 */
export interface FootprintParts {
  readonly weights: {
    /** On GPUs. Where the list of tensors is not known: an upper bound, the size of the file. */
    readonly gpu: number
    /** In system memory. Counted in `total` only if the model runs there. */
    readonly cpu: number
  }
  /** Keys and values of attention. */
  readonly kv: number
  /** State of recurrent layers. */
  readonly recurrent: number
  /** Buffers of the compute graph, on all devices together. */
  readonly compute: number
  /** Buffers of the projector's graph. Its weights are in `weights`. */
  readonly projector: number
  /** Memory of the process itself: CUDA context, cuBLAS. It is not in `/api/ps`. */
  readonly overhead: number
}

/**
 * The memory to reserve for one model on one backend.
 *
 * @category models
 * @since 0.1.0
 */
export interface Footprint {
  /** `undefined` if only the sum is known. The parts of a learned footprint are those of the estimate. */
  readonly parts: FootprintParts | undefined
  /** Bytes on the devices that the model runs on. */
  readonly total: number
  /** Bytes added because `total` may be too low. */
  readonly margin: number
  /** `total + margin`: the bytes that a ledger charges. */
  readonly reserve: number
  /** Where it is from: the formulas, earlier loads, or the manifest file of the deployer. */
  readonly source: "estimated" | "learned" | "manifest"
}

/**
 * The memory of a model as it was observed after a load.
 *
 * @category models
 * @since 0.1.0
 */
export interface Observation {
  /** `size` of `/api/ps`. */
  readonly size: number
  /** `size_vram` of `/api/ps`. */
  readonly sizeVram: number
  /**
   * Bytes by which the free memory of the devices fell during the load. Only known if no other load ran on these
   * devices.
   */
  readonly freeDrop?: number | undefined
}

/**
 * The change that an observation made to a footprint.
 *
 * @category models
 * @since 0.1.0
 */
export interface Lesson {
  readonly before: Footprint | undefined
  readonly after: Footprint | undefined
  /**
   * Observed bytes above the reserved ones; 0 if the reservation was enough. Above 0, less was charged than the model
   * took.
   */
  readonly exceeded: number
}

const ManifestInvalidBase: TaggedErrorClass<
  ManifestInvalid,
  "ManifestInvalid",
  { readonly description: Schema.String }
> = Schema.TaggedError<ManifestInvalid>()("ManifestInvalid", { description: Schema.String })

/**
 * The manifest cannot be read: it is not JSON, has an unknown field, or a number that is not a size.
 *
 * @category errors
 * @since 0.1.0
 */
export class ManifestInvalid extends ManifestInvalidBase {}

const FootprintErrorBase: TaggedErrorClass<
  FootprintError,
  "FootprintError",
  { readonly reason: Schema.Union<readonly [typeof ManifestInvalid]> }
> = Schema.TaggedError<FootprintError>()("FootprintError", { reason: Schema.Union([ManifestInvalid]) })

/**
 * The one error of `ModelFootprints`. It can only happen when a layer is built.
 *
 * @category errors
 * @since 0.1.0
 */
export class FootprintError extends FootprintErrorBase {
  override get message(): string {
    return this.reason.description
  }
}

const key = "llamero/services/Footprint/ModelFootprints"
const Base: Context.ServiceClass<ModelFootprints, typeof key, Service> = Context.Service<ModelFootprints, Service>()(
  key,
)

/**
 * The footprints of the fleet's models.
 *
 * @category services
 * @since 0.1.0
 */
export class ModelFootprints extends Base {}

/** The members of `ModelFootprints`. @category services @since 0.1.0 */
export interface Service {
  /**
   * The footprint by the manifest, else as learned, else as estimated. `undefined` means "not known yet", never "no
   * memory". Synchronous.
   */
  readonly of: (model: Model, backend: Backend, shape: RunShape) => Footprint | undefined
  /** The geometry of the model on a backend, once it was read. Synchronous. */
  readonly geometry: (model: Model, backend: Backend) => Geometry | undefined
  /** Learns from the memory that a load has taken. Synchronous: the next `of` uses it. */
  readonly learn: (model: Model, backend: Backend, shape: RunShape, observation: Observation) => Lesson
  /**
   * Reads the facts that `of` needs for a model on a backend, unless they are known. Ends after one attempt, even if
   * that fails.
   */
  readonly prepare: (model: Model, backend: Backend) => Effect.Effect<void>
  /** Rises whenever an answer of `of` changes. */
  readonly version: () => number
}
