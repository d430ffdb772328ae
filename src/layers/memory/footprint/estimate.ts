/**
 * Estimates the memory of a model by formulas, for models and shapes that were not observed yet. Checked against the
 * buffers that llama.cpp logged for a dozen models: the cache was exact for all of them, and no compute buffer was
 * larger than its bound.
 *
 * Written here because no library has these formulas for JavaScript: they follow the sources of llama.cpp and Ollama.
 *
 * @since 0.1.0
 */
import type { Footprint, FootprintParts, KvType, RunShape } from "../../../services/Footprint.ts"
import type { Geometry } from "../../../services/Geometry.ts"

const mebibyte = 1024 * 1024

/** Memory of the process on each GPU, besides Ollama's buffers. Observed: 153 to 753 MiB. */
const overheadBytes = 512 * mebibyte

/** What Ollama itself keeps free for the graph of a projector. */
const projectorBytes = 1024 * mebibyte

/** The share added where the formulas are known to hold, and elsewhere. */
const margins = { exact: 0.03, otherwise: 0.25 }

/**
 * Bytes of an element of the cache: ggml's blocks with their scales. Ollama's own values, 1 and 0.5, are 6 to 12 %
 * too low.
 */
const elementBytes: Readonly<Record<KvType, number>> = {
  f32: 4,
  f16: 2,
  bf16: 2,
  q8_0: 34 / 32,
  q5_1: 24 / 32,
  q5_0: 22 / 32,
  q4_1: 20 / 32,
  q4_0: 18 / 32,
  iq4_nl: 18 / 32,
}

/** llama.cpp allocates the cells of the cache in steps of 256. */
const padded = (cells: number): number => Math.ceil(cells / 256) * 256

const isQuantised = (type: KvType): boolean => elementBytes[type] < 2

/** The shape that Ollama would use for this model. */
interface Run {
  readonly context: number
  readonly parallelism: number
  readonly batch: number
  /** Cells of a layer with full attention, for all sequences together. */
  readonly cells: number
  readonly kvBytes: number
  readonly flashAttention: RunShape["flashAttention"]
}

/**
 * The batch in tokens: as the request or the Modelfile states it; else 2,048 for embedders, up to the context; else
 * by the length of the context. Ollama lowers it when little memory is free, so this is an upper bound. (Ollama 0.33,
 * `generationBatchForContext`, `DefaultEmbeddingNumBatch`.)
 *
 * @category accessors
 * @since 0.1.0
 */
export const batchOf = (geometry: Pick<Geometry, "embedder" | "batch">, shape: RunShape): number => {
  const given = shape.batch ?? geometry.batch
  if (geometry.embedder) return Math.max(1, Math.min(given ?? 2048, shape.context * shape.parallelism))
  if (given !== undefined) return given
  return shape.context > 32_768 ? 2048 : shape.context > 4096 ? 1024 : 512
}

const runOf = (geometry: Geometry, shape: RunShape): Run => {
  const context = Math.min(shape.context, geometry.contextTrained ?? Infinity)
  const parallelism = geometry.embedder ? 1 : shape.parallelism
  // A quantised cache needs flash attention. Without it llama.cpp refuses to load, and Ollama before 0.30 used f16.
  const plain = isQuantised(shape.kvType) && shape.flashAttention === "off"
  const flashAttention = isQuantised(shape.kvType) && !plain ? "on" : shape.flashAttention
  return {
    context,
    parallelism,
    batch: batchOf(geometry, { ...shape, context, parallelism }),
    cells: shape.unified ? padded(context * parallelism) : parallelism * padded(context),
    kvBytes: elementBytes[plain ? "f16" : shape.kvType],
    flashAttention,
  }
}

/**
 * Cells of a windowed layer: the window and the batch. A cache that all sequences share keeps a window for each of
 * them.
 */
const windowCells = (window: number, run: Run, unified: boolean): number =>
  unified
    ? Math.min(run.cells, padded(window * run.parallelism + run.batch))
    : run.parallelism * Math.min(padded(run.context), padded(window + run.batch))

/**
 * Bytes of keys and values: `heads * (key length + value length) * bytes of an element * cells`, summed over the
 * layers. Each layer has its own number of heads, and fewer cells if it is windowed. With latent attention a token
 * keeps one row of `latentLength` in each layer.
 *
 * @category accessors
 * @since 0.1.0
 */
export const kvBytes = (geometry: Geometry, shape: RunShape): number => {
  const run = runOf(geometry, shape)
  const { kvHeads, window } = geometry
  const windowed = window === undefined ? run.cells : windowCells(window.size, run, shape.unified)
  let sum = 0
  for (let layer = 0; layer < geometry.layers - geometry.sharedKvLayers; layer++) {
    const heads = typeof kvHeads === "number" ? kvHeads : kvHeads[layer] ?? 0
    if (heads === 0) continue
    if (geometry.latentLength !== undefined) sum += geometry.latentLength * run.cells
    else if (window?.layers[layer] === true) {
      sum += heads * ((window.keyLength ?? geometry.keyLength) + (window.valueLength ?? geometry.valueLength)) *
        windowed
    } else sum += heads * (geometry.keyLength + geometry.valueLength) * run.cells
  }
  return sum * run.kvBytes
}

/**
 * Bytes of recurrent state: 4 for each element, layer and sequence. They do not depend on the context.
 *
 * @category accessors
 * @since 0.1.0
 */
export const recurrentBytes = (geometry: Geometry, shape: RunShape): number =>
  geometry.recurrent === undefined
    ? 0
    : 4 * geometry.recurrent.layers * geometry.recurrent.elements * runOf(geometry, shape).parallelism

/**
 * An upper bound of the bytes of the compute buffer of one device.
 *
 * **Details**
 *
 * - Without flash attention, 4 bytes times the batch times the larger of the logits (`vocabulary + embedding`) and
 *   the attention scores of one layer (`1 + 4 * embedding + cells * (1 + heads)`). Exact for llama and qwen.
 * - With it there are no scores, only the mask (2 bytes for each cell and token of the batch) and 32 MiB of other
 *   buffers. This is 2 to 33 % above the real size, and up to four times the real size on builds that reserve fewer
 *   rows of logits.
 * - If flash attention is `"unknown"`, the larger of both.
 * - An encoder has no logits, and its attention covers only the batch:
 *   `3 * embedding + feed forward + batch * (1 + heads)`. Fitted to one model.
 *
 * @category accessors
 * @since 0.1.0
 */
export const computeBytes = (geometry: Geometry, shape: RunShape): number => {
  const { batch, cells, flashAttention } = runOf(geometry, shape)
  const { embeddingLength, experts, heads } = geometry
  if (geometry.encoder) {
    const feedForward = geometry.feedForward ?? 4 * embeddingLength
    return 4 * batch * (3 * embeddingLength + feedForward + batch * (1 + heads))
  }
  const mixture = experts === undefined ? 0 : experts.used * (2 * experts.feedForward + embeddingLength)
  const logits = Math.max(geometry.vocabulary + embeddingLength, mixture)
  const without = 4 * batch * Math.max(logits, 1 + 4 * embeddingLength + cells * (1 + heads))
  const withIt = 4 * batch * logits + 2 * batch * cells + 32 * mebibyte
  return flashAttention === "on" ? withIt : flashAttention === "off" ? without : Math.max(withIt, without)
}

/**
 * The size of the file is an upper bound for the GPU. If the tensors are known, those that stay in system memory are
 * subtracted.
 */
const weightsOf = (geometry: Geometry, shape: RunShape, fileBytes: number): FootprintParts["weights"] => {
  if (shape.devices === 0) return { gpu: 0, cpu: fileBytes }
  const input = geometry.inputWeights
  if (input !== undefined) {
    return { gpu: Math.max(0, fileBytes - (input.bytes - input.tied)), cpu: Math.min(input.bytes, fileBytes) }
  }
  // Memory that is mapped from the file is not charged, so an approximation is enough.
  const embedding = geometry.vocabulary * geometry.embeddingLength * elementBytes.q8_0
  return { gpu: fileBytes, cpu: Math.min(embedding, fileBytes) }
}

/**
 * The footprint with these parts. `margin` is a share of their sum.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromParts = (
  parts: FootprintParts,
  shape: Pick<RunShape, "devices">,
  margin: number,
  source: Footprint["source"],
): Footprint => {
  const weights = shape.devices === 0 ? parts.weights.cpu : parts.weights.gpu
  const total = Math.ceil(weights + parts.kv + parts.recurrent + parts.compute + parts.projector + parts.overhead)
  const added = Math.ceil(total * margin)
  return { parts, total, margin: added, reserve: total + added, source }
}

/**
 * An upper bound of the memory that a model takes.
 *
 * **Details**
 *
 * `fileBytes` is the size in `/api/tags`: weights, projector and adapters. A model that is split over GPUs has
 * compute buffers and an overhead on each of them. The margin is 3 %, or 25 % if the geometry is not exact or a draft
 * model runs, whose memory is not reported.
 *
 * @category constructors
 * @since 0.1.0
 */
export const estimate = (geometry: Geometry, shape: RunShape, fileBytes: number): Footprint => {
  const processes = Math.max(1, shape.devices)
  return fromParts(
    {
      weights: weightsOf(geometry, shape, fileBytes),
      kv: kvBytes(geometry, shape),
      recurrent: recurrentBytes(geometry, shape),
      compute: computeBytes(geometry, shape) * processes,
      projector: geometry.projector ? projectorBytes : 0,
      overhead: overheadBytes * processes,
    },
    shape,
    geometry.exact && !geometry.draft ? margins.exact : margins.otherwise,
    "estimated",
  )
}
