/**
 * Estimates the memory of a model by formulas, for models and shapes that were not observed yet. Checked against the
 * buffers that llama.cpp logged for a dozen models: the cache was exact for all of them, and no compute buffer was
 * larger than its bound.
 *
 * Written here because no library has these formulas for JavaScript: they follow the sources of llama.cpp and Ollama.
 *
 * @since 0.1.0
 */
import type { Footprint, FootprintParts, RunShape } from "../../../services/Footprint.ts"
import type { Geometry } from "../../../services/Geometry.ts"
import { computeBytes } from "./compute.ts"
import * as Flash from "./flash.ts"
import { elementBytes, padded, type Run, runOf } from "./run.ts"

const mebibyte = 1024 * 1024

/**
 * Memory of the process on each GPU, besides Ollama's buffers: 600 to 605 MiB for each process on an H100 (driver 580,
 * CUDA 13, Ollama 0.33). Other logs: 153 to 753 MiB.
 *
 * @category constants
 * @since 0.1.0
 */
export const overheadBytes = 605 * mebibyte

/** What Ollama itself keeps free for the graph of a projector. */
const projectorBytes = 1024 * mebibyte

/** The share added where the formulas are known to hold, and elsewhere. */
const margins = { exact: 0.03, otherwise: 0.25 }

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
 * `version` is the version of Ollama. While it is not known, it counts as a current one, because a server says its
 * version when it is first probed. What differs: since 0.30 Ollama lets llama.cpp decide about flash attention, and in
 * 0.33 llama.cpp reserves logits only for the last token of each sequence.
 *
 * @category constructors
 * @since 0.1.0
 */
export const estimate = (geometry: Geometry, asked: RunShape, fileBytes: number, version?: string): Footprint => {
  const shape = Flash.onVersion(asked, version)
  const processes = Math.max(1, shape.devices)
  return fromParts(
    {
      weights: weightsOf(geometry, shape, fileBytes),
      kv: kvBytes(geometry, shape),
      recurrent: recurrentBytes(geometry, shape),
      compute: computeBytes(geometry, shape, version) * processes,
      projector: geometry.projector ? projectorBytes : 0,
      overhead: overheadBytes * processes,
    },
    shape,
    geometry.exact && !geometry.draft ? margins.exact : margins.otherwise,
    "estimated",
  )
}
