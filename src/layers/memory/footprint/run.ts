/**
 * How Ollama would run a model in a shape: the limits of the model and Ollama's own rules applied.
 *
 * @since 0.1.0
 */
import type { KvType, RunShape } from "../../../services/Footprint.ts"
import type { Geometry } from "../../../services/Geometry.ts"
import * as Flash from "./flash.ts"

/**
 * Bytes of an element of the cache: ggml's blocks with their scales. Ollama's own values, 1 and 0.5, are 6 to 12 %
 * too low.
 *
 * @category constants
 * @since 0.1.0
 */
export const elementBytes: Readonly<Record<KvType, number>> = {
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

/** llama.cpp allocates the cells of the cache in steps of 256. @category conversions @since 0.1.0 */
export const padded = (cells: number): number => Math.ceil(cells / 256) * 256

const isQuantised = (type: KvType): boolean => elementBytes[type] < 2

/** The shape that Ollama would use for this model. @category models @since 0.1.0 */
export interface Run {
  readonly context: number
  readonly parallelism: number
  readonly batch: number
  /** Cells of a layer with full attention, for all sequences together. */
  readonly cells: number
  readonly kvBytes: number
  /** Cells that one token looks at, in the mask of its sequence. */
  readonly maskCells: number
  readonly flashAttention: Flash.Known
}

/**
 * The batch in tokens: as the request or the Modelfile states it; else 2,048 for embedders, up to the context; else
 * by the context of all sequences together. Ollama lowers it when little memory is free, so this is an upper bound.
 * (Ollama 0.33, `automaticGenerationBatch` with `effectiveLlamaServerContext`, `DefaultEmbeddingNumBatch`.)
 *
 * @category accessors
 * @since 0.1.0
 */
export const batchOf = (geometry: Pick<Geometry, "embedder" | "batch">, shape: RunShape): number => {
  const given = shape.batch ?? geometry.batch
  const tokens = shape.context * shape.parallelism
  if (geometry.embedder) return Math.max(1, Math.min(given ?? 2048, tokens))
  if (given !== undefined) return given
  return tokens > 32_768 ? 2048 : tokens > 4096 ? 1024 : 512
}

/** @category constructors @since 0.1.0 */
export const runOf = (geometry: Geometry, shape: RunShape): Run => {
  const context = Math.min(shape.context, geometry.contextTrained ?? Infinity)
  const parallelism = geometry.embedder ? 1 : shape.parallelism
  // A quantised cache needs flash attention. Without it llama.cpp refuses to load, and Ollama before 0.30 used f16.
  const plain = isQuantised(shape.kvType) && shape.flashAttention === "off"
  const flashAttention = isQuantised(shape.kvType) && !plain ? "on" : Flash.of(geometry, shape)
  return {
    context,
    parallelism,
    batch: batchOf(geometry, { ...shape, context, parallelism }),
    cells: shape.unified ? padded(context * parallelism) : parallelism * padded(context),
    maskCells: padded(shape.unified ? context * parallelism : context),
    kvBytes: elementBytes[plain ? "f16" : shape.kvType],
    flashAttention,
  }
}
