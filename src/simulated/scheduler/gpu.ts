/**
 * One GPU of a simulated machine: its memory, and what is computed on it. Several servers can share one.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"

/**
 * One GPU.
 *
 * @category models
 * @since 0.1.0
 */
export class SimulatedGpu {
  readonly total: number
  /** Bytes in use, including memory that the driver is still releasing. */
  used = 0
  /** Prompts and texts that are being read now, over all servers. */
  reading = 0
  /** Answers that are being generated now, over all servers. */
  answering = 0

  constructor(total: number) {
    this.total = total
  }
}

/** The GPUs of one server. @category models @since 0.1.0 */
export type Gpus = ReadonlyArray<SimulatedGpu>

/**
 * Runs an effect and counts it on the GPUs that it uses.
 *
 * @category combinators
 * @since 0.1.0
 */
export const working = <A, E>(
  gpus: Gpus,
  how: "reading" | "answering",
  effect: Effect.Effect<A, E>,
): Effect.Effect<A, E> =>
  Effect.suspend(() => {
    for (const gpu of gpus) gpu[how]++
    return Effect.ensuring(
      effect,
      Effect.sync(() => {
        for (const gpu of gpus) gpu[how]--
      }),
    )
  })

/** The most requests that one of these GPUs works on, at least one. */
const most = (gpus: Gpus, how: "reading" | "answering"): number => gpus.reduce((max, gpu) => Math.max(max, gpu[how]), 1)

/** The speeds of a GPU, in tokens per second: of one request, and the most over all of its requests. */
interface Speeds {
  readonly prefillRate: number
  readonly prefillRateMax: number
  readonly decodeRate: number
  readonly decodeRateMax: number
}

/**
 * Milliseconds for one token of a prompt. One request reads at its own rate until the GPU is the limit.
 *
 * @category accessors
 * @since 0.1.0
 */
export const prefillMillis = ({ prefillRate, prefillRateMax }: Speeds, gpus: Gpus): number =>
  1000 * Math.max(1 / prefillRate, most(gpus, "reading") / prefillRateMax)

/**
 * Milliseconds for the next token of an answer. All answers of a batch get their next token in one step: it reads the
 * weights once, and takes a little longer for each further answer.
 *
 * @category accessors
 * @since 0.1.0
 */
export const decodeMillis = ({ decodeRate, decodeRateMax }: Speeds, gpus: Gpus): number =>
  1000 * (1 / decodeRate + (most(gpus, "answering") - 1) / decodeRateMax)

/**
 * The GPUs of a server. Those with a UUID are taken from `shared`, or added to it. A `RangeError` where two servers
 * give one GPU different sizes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const gpusOf = (
  { gpus, gpuUuids }: { readonly gpus: ReadonlyArray<number>; readonly gpuUuids: ReadonlyArray<string> },
  shared: Map<string, SimulatedGpu>,
): Gpus =>
  gpus.map((total, index) => {
    const uuid = gpuUuids[index]
    const gpu = (uuid === undefined ? undefined : shared.get(uuid)) ?? new SimulatedGpu(total)
    if (gpu.total !== total) throw new RangeError(`SimulatedServer: ${uuid} has ${gpu.total} bytes, not ${total}`)
    if (uuid !== undefined) shared.set(uuid, gpu)
    return gpu
  })

/**
 * The delays of requests in their slots, in milliseconds: the same ones for the same seed. The numbers come from a
 * linear congruential generator of 32 bits.
 *
 * @category constructors
 * @since 0.1.0
 */
export const slotDelays = (
  { seed, slotDelay: [least, most] }: { readonly seed: number; readonly slotDelay: readonly [number, number] },
): () => number => {
  let state = seed >>> 0
  return () => {
    if (most === 0) return 0
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.round(least + (most - least) * state / 2 ** 32)
  }
}
