/**
 * GPU memory of a simulated server: what Ollama predicts before a load, and what llama.cpp then allocates.
 *
 * @since 0.1.0
 */
import type { SimulatedModel } from "../models/model.ts"
import type { SimulatedGpu } from "./gpu.ts"
import type { RunnerOptions } from "./options.ts"

/**
 * Bytes that a runner holds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Allocation {
  /** All buffers: `size` in `/api/ps`. */
  readonly size: number
  /** The buffers on GPUs: `size_vram` in `/api/ps`. */
  readonly vram: number
  /** Bytes on each GPU, in the order of `gpus`. */
  readonly perGpu: ReadonlyArray<number>
  /** The buffers in system memory. */
  readonly system: number
}

const f16 = 2
const mebibyte = 1024 * 1024

/** Bytes of KV cache. */
const cacheBytes = (model: SimulatedModel, tokens: number): number =>
  2 * model.blocks * model.kvHeads * (model.embeddingLength / model.heads) * f16 * tokens

/**
 * Bytes that Ollama expects a load to need. Only used to choose a GPU and to decide on evictions.
 *
 * @category combinators
 * @since 0.1.0
 */
export const predicted = (model: SimulatedModel, options: RunnerOptions, parallel: number): number => {
  const surcharge = options.numBatch >= 2048 ? 2048 * mebibyte : options.numBatch >= 1024 ? 768 * mebibyte : 0
  return model.size + cacheBytes(model, options.numCtx * parallel) + (options.numBatchAuto ? surcharge : 0)
}

/**
 * Bytes that a loaded runner really holds.
 *
 * @category combinators
 * @since 0.1.0
 */
export const footprint = (model: SimulatedModel, options: RunnerOptions, parallel: number): number =>
  model.size + cacheBytes(model, options.numCtx * parallel) + model.overhead

/**
 * The memory that one server process uses: on its GPUs, and of the system.
 *
 * @category models
 * @since 0.1.0
 */
export class GpuMemory {
  readonly gpus: ReadonlyArray<SimulatedGpu>
  readonly system: { readonly total: number; used: number }

  /** Bytes of this process on each GPU. */
  readonly #own: Array<number>

  constructor(gpus: ReadonlyArray<SimulatedGpu>, system: number) {
    this.gpus = gpus
    this.#own = gpus.map(() => 0)
    this.system = { total: system, used: 0 }
  }

  get free(): number {
    let sum = 0
    for (const gpu of this.gpus) sum += gpu.total - gpu.used
    return sum
  }

  /** The GPUs for a load, by index. `fits` is Ollama's own check: at most 80 % of the free memory. */
  choose(need: number, options: RunnerOptions): { readonly fits: boolean; readonly group: ReadonlyArray<number> } {
    if (this.gpus.length === 0 || options.numGpu === 0) return { fits: true, group: [] }
    const free = (index: number) => (this.gpus[index]?.total ?? 0) - (this.gpus[index]?.used ?? 0)
    const all = this.gpus.map((_, index) => index)
    if (options.mainGpu !== undefined && options.mainGpu < all.length) {
      return { fits: need <= 0.8 * free(options.mainGpu), group: [options.mainGpu] }
    }
    const roomiest = all.reduce((best, index) => free(index) > free(best) ? index : best, 0)
    if (need <= 0.8 * free(roomiest)) return { fits: true, group: [roomiest] }
    return { fits: need <= 0.8 * this.free, group: all }
  }

  /**
   * Allocates the memory of a load: whole layers until a GPU is full, the rest in system memory, without an error.
   * `undefined` when the request fixed the number of layers and they do not fit, or when the system's memory is too
   * small for the rest: the load then fails with an out-of-memory error.
   */
  allocate(
    model: SimulatedModel,
    options: RunnerOptions,
    parallel: number,
    group: ReadonlyArray<number>,
  ): Allocation | undefined {
    const size = footprint(model, options, parallel)
    const layers = model.blocks + 1
    const layer = (size - model.overhead) / layers
    const perGpu = this.gpus.map(() => 0)
    let wanted = options.numGpu < 0 ? layers : Math.min(options.numGpu, layers)
    for (const index of group) {
      const gpu = this.gpus[index]
      if (gpu === undefined || wanted === 0) continue
      // Each card has compute buffers of its own, so a group of cards takes a little more than one card. That is left
      // out, so that sizes can be compared.
      const buffers = perGpu.some((bytes) => bytes > 0) ? 0 : model.overhead
      const taken = Math.min(wanted, Math.floor((gpu.total - gpu.used - buffers) / layer))
      if (taken <= 0) continue
      wanted -= taken
      perGpu[index] = Math.round(taken * layer + buffers)
    }
    if (wanted > 0 && options.numGpu > 0) return undefined
    const vram = perGpu.reduce((sum, bytes) => sum + bytes, 0)
    const system = Math.max(0, Math.round(size) - vram)
    if (system > this.system.total - this.system.used) return undefined
    this.#add(perGpu, 1)
    this.system.used += system
    return { size: Math.round(size), vram, perGpu, system }
  }

  release(allocation: Allocation): void {
    this.#add(allocation.perGpu, -1)
    this.system.used -= allocation.system
  }

  /** The process has ended: the driver takes back all of its memory. */
  releaseAll(): void {
    this.#add([...this.#own], -1)
    this.system.used = 0
  }

  /** The GPUs that hold a part of an allocation. */
  holding({ perGpu }: Allocation): ReadonlyArray<SimulatedGpu> {
    return this.gpus.filter((_, index) => (perGpu[index] ?? 0) > 0)
  }

  #add(perGpu: ReadonlyArray<number>, sign: 1 | -1): void {
    this.gpus.forEach((gpu, index) => {
      const bytes = sign * (perGpu[index] ?? 0)
      gpu.used += bytes
      this.#own[index]! += bytes
    })
  }
}
