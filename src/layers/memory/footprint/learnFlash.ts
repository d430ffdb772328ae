/**
 * Learns from loads whether a model runs with flash attention, where neither the device nor the model says so.
 *
 * @since 0.1.0
 */
import type { Observation, RunShape } from "../../../services/Footprint.ts"
import type { Geometry } from "../../../services/Geometry.ts"
import { computeBytes } from "./compute.ts"
import { estimate } from "./estimate.ts"
import * as Flash from "./flash.ts"

/** A model on a backend. @category models @since 0.1.0 */
export interface Run {
  readonly host: string
  /** Of Ollama; `undefined` while it is not known. */
  readonly version: string | undefined
  /** UUIDs of the GPUs. */
  readonly gpus: ReadonlyArray<string>
  readonly geometry: Geometry
  readonly shape: RunShape
  /** The size of the file, in bytes. */
  readonly file: number
}

/** The most backends and kinds of models that are remembered. The oldest ones are dropped. */
const keysMax = 4096

/** The smallest batch that Ollama chooses by itself for long contexts. */
const batchMin = 256

/** Whether there is a kernel depends on the device, the build and the lengths of the heads, not on the single model. */
const keyOf = ({ geometry, gpus, host, version }: Run): string =>
  JSON.stringify([
    host,
    version ?? "",
    gpus.toSorted(),
    geometry.architecture,
    geometry.keyLength,
    geometry.valueLength,
    geometry.latentLength ?? 0,
  ])

const isUnknown = ({ geometry, shape, version }: Run): boolean =>
  Flash.of(geometry, Flash.onVersion(shape, version)) === "unknown"

/** The least bytes of all buffers without flash attention: what may be in system memory is left out. */
const leastWithout = ({ file, geometry, shape, version }: Run): number => {
  const off: RunShape = { ...shape, flashAttention: "off" }
  const { parts } = estimate(geometry, off, file, version)
  if (parts === undefined) return 0
  const weights = geometry.inputWeights === undefined ? parts.weights.gpu - parts.weights.cpu : parts.weights.gpu
  const batch = Math.min(shape.batch ?? geometry.batch ?? batchMin, batchMin)
  const compute = computeBytes(geometry, { ...off, parallelism: 1, batch }, version)
  return Math.max(0, weights) + parts.kv + parts.recurrent + compute
}

/** The most bytes of all buffers with flash attention. */
const mostWith = ({ file, geometry, shape, version }: Run): number => {
  const { parts, reserve } = estimate(geometry, { ...shape, flashAttention: "on" }, file, version)
  return reserve - (parts?.overhead ?? 0)
}

/**
 * What loads have told. A load that took less than the attention scores alone would need runs with flash attention.
 * The opposite does not have to be learned: while nothing is known, the larger of both is charged.
 *
 * @category models
 * @since 0.1.0
 */
export class LearnedFlash {
  private readonly on = new Set<string>()

  /** The shape with flash attention on, if that was learned and nothing else decides it. */
  shape(run: Run): RunShape {
    return isUnknown(run) && this.on.has(keyOf(run)) ? { ...run.shape, flashAttention: "on" } : run.shape
  }

  /** Takes in the memory that a load has taken. A model of which a part is in system memory tells nothing. */
  learn(run: Run, { size, sizeVram }: Observation): void {
    if (!isUnknown(run) || run.shape.devices === 0 || sizeVram < size || !Number.isFinite(size) || size <= 0) return
    const key = keyOf(run)
    if (size > mostWith(run)) this.on.delete(key)
    else if (size < leastWithout(run)) this.on.add(key)
    for (const oldest of this.on) {
      if (this.on.size <= keysMax) break
      this.on.delete(oldest)
    }
  }
}
