/**
 * The settings of a simulated server.
 *
 * @since 0.1.0
 */
import { ByteSize, Duration } from "effect"
import type { Spelling } from "./http/dress.ts"
import { type SimulatedModel, tinyModels } from "./models/model.ts"

/**
 * Options of a simulated server. The default is a server with the tiny models on a CPU, on which nothing takes time.
 *
 * @category options
 * @since 0.1.0
 */
export interface ServerOptions {
  /** Models on its disk. Defaults to the four tiny ones. */
  readonly models?: ReadonlyArray<SimulatedModel> | undefined
  /** Models it can pull. Defaults to none. */
  readonly pullable?: ReadonlyArray<SimulatedModel> | undefined
  /** Memory of each GPU. Defaults to none: CPU only. */
  readonly gpus?: ReadonlyArray<ByteSize.Input> | undefined
  /**
   * Memory for the layers that do not fit on the GPUs. A load that needs more fails: Ollama then tries once more, with
   * a shorter context if it chose the context itself, or with nothing else loaded. Defaults to no limit.
   */
  readonly systemMemory?: ByteSize.Input | undefined
  /**
   * The UUIDs of the GPUs, in the order of `gpus`. Servers of one fleet that name the same UUID share that GPU, its
   * memory and its speed. Defaults to GPUs that no other server has.
   */
  readonly gpuUuids?: ReadonlyArray<string> | undefined
  /** Bytes of weights read per second. Defaults to `Infinity`. */
  readonly loadBandwidth?: number | undefined
  /** Time of a load besides reading the weights. Defaults to 0. */
  readonly loadTime?: Duration.Input | undefined
  /** Time from an unload until the driver shows the memory as free; `"Infinity"` for never. Defaults to 0. */
  readonly releaseTime?: Duration.Input | undefined
  /** Time of a request before it reaches its runner. Defaults to 0. */
  readonly overhead?: Duration.Input | undefined
  /**
   * The least and the most time for which a request holds its slot before the work on it begins. None of the durations
   * of the answer count it but `total_duration`. A busy GPU adds 50 to 150 ms. Defaults to none.
   */
  readonly slotDelay?: readonly [Duration.Input, Duration.Input] | undefined
  /** Seed of the slot delays. Defaults to `1`. */
  readonly seed?: number | undefined
  /** Prompt tokens per second of one request. Defaults to `Infinity`. */
  readonly prefillRate?: number | undefined
  /** Prompt tokens per second of a GPU, over all requests of all servers on it. Defaults to `Infinity`. */
  readonly prefillRateMax?: number | undefined
  /** Answer tokens per second of one stream alone. Defaults to `Infinity`: an answer takes no time. */
  readonly decodeRate?: number | undefined
  /**
   * Answer tokens per second that a GPU comes near to with many streams, over all servers on it. Each further stream
   * makes the tokens of all come later. Defaults to `Infinity`: streams do not slow each other down.
   */
  readonly decodeRateMax?: number | undefined
  /** How many times slower the layers on the CPU are than those on a GPU. Defaults to `10`. */
  readonly cpuSlowdown?: number | undefined
  /** `OLLAMA_NUM_PARALLEL`. Defaults to `1`. */
  readonly parallelism?: number | undefined
  /** `OLLAMA_MAX_LOADED_MODELS`. Defaults to 3 for each GPU, or 3 without GPUs. */
  readonly maxLoaded?: number | undefined
  /** `OLLAMA_MAX_QUEUE`. Defaults to `512`. */
  readonly maxQueue?: number | undefined
  /** `OLLAMA_KEEP_ALIVE`. Defaults to 5 minutes. */
  readonly keepAlive?: Duration.Input | undefined
  /** `OLLAMA_CONTEXT_LENGTH`. Defaults to Ollama's choice by GPU memory. */
  readonly contextLength?: number | undefined
  /** Defaults to `"0.33.0-rc2"`. */
  readonly version?: string | undefined
  /** Paths that the version does not have yet, such as `/v1/responses`: 404 as plain text. Defaults to none. */
  readonly missingPaths?: ReadonlyArray<string> | undefined
  /** Bytes pulled per second. Defaults to `Infinity`. */
  readonly pullBandwidth?: number | undefined
  /** How it spells its answers. Defaults to Ollama's own spelling. */
  readonly spelling?: Spelling | undefined
  /** Compresses every answer, whatever the client asks for, as some proxies do. Defaults to plain answers. */
  readonly encoding?: "gzip" | undefined
  /** Most calls in the call log; the oldest are dropped first. Defaults to `1000`. */
  readonly callsMax?: number | undefined
  /**
   * Headers, with their values, that a proxy in front of the server asks for. A call without one of them gets 401.
   * Defaults to none: Ollama asks for nothing.
   */
  readonly credentials?: Readonly<Record<string, string>> | undefined
}

/**
 * `ServerOptions` with the defaults applied; times in milliseconds, memory in bytes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly models: ReadonlyArray<SimulatedModel>
  readonly pullable: ReadonlyArray<SimulatedModel>
  readonly gpus: ReadonlyArray<number>
  readonly systemMemory: number
  readonly gpuUuids: ReadonlyArray<string>
  readonly loadBandwidth: number
  readonly loadTime: number
  readonly releaseTime: number
  readonly overhead: number
  readonly slotDelay: readonly [number, number]
  readonly seed: number
  readonly prefillRate: number
  readonly prefillRateMax: number
  readonly decodeRate: number
  readonly decodeRateMax: number
  readonly cpuSlowdown: number
  readonly parallelism: number
  readonly maxLoaded: number
  readonly maxQueue: number
  readonly keepAlive: number
  readonly contextLength: number | undefined
  readonly version: string
  readonly missingPaths: ReadonlyArray<string>
  readonly pullBandwidth: number
  readonly callsMax: number
  readonly spelling: Spelling | undefined
  readonly encoding: "gzip" | undefined
  readonly credentials: Readonly<Record<string, string>>
}

/** Settings that must be above 0. */
const positive = [
  "loadBandwidth",
  "prefillRate",
  "prefillRateMax",
  "decodeRate",
  "decodeRateMax",
  "cpuSlowdown",
  "pullBandwidth",
] as const

const millis = (input: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(input))

/**
 * Applies the defaults. A `RangeError` for numbers that are out of range.
 *
 * @category constructors
 * @since 0.1.0
 */
export const settings = (options: ServerOptions): Settings => {
  const bytes = (input: ByteSize.Input): number => ByteSize.toNumberUnsafe(ByteSize.fromInputUnsafe(input))
  const gpus = (options.gpus ?? []).map(bytes)
  const made: Settings = {
    models: options.models ?? tinyModels,
    pullable: options.pullable ?? [],
    gpus,
    systemMemory: options.systemMemory === undefined ? Infinity : bytes(options.systemMemory),
    gpuUuids: options.gpuUuids ?? [],
    loadBandwidth: options.loadBandwidth ?? Infinity,
    loadTime: millis(options.loadTime ?? 0),
    releaseTime: millis(options.releaseTime ?? 0),
    overhead: millis(options.overhead ?? 0),
    slotDelay: [millis(options.slotDelay?.[0] ?? 0), millis(options.slotDelay?.[1] ?? 0)],
    seed: options.seed ?? 1,
    prefillRate: options.prefillRate ?? Infinity,
    prefillRateMax: options.prefillRateMax ?? Infinity,
    decodeRate: options.decodeRate ?? Infinity,
    decodeRateMax: options.decodeRateMax ?? Infinity,
    cpuSlowdown: options.cpuSlowdown ?? 10,
    parallelism: options.parallelism ?? 1,
    maxLoaded: options.maxLoaded ?? 3 * Math.max(gpus.length, 1),
    maxQueue: options.maxQueue ?? 512,
    keepAlive: millis(options.keepAlive ?? "5 minutes"),
    contextLength: options.contextLength,
    version: options.version ?? "0.33.0-rc2",
    missingPaths: options.missingPaths ?? [],
    pullBandwidth: options.pullBandwidth ?? Infinity,
    callsMax: options.callsMax ?? 1000,
    spelling: options.spelling,
    encoding: options.encoding,
    credentials: options.credentials ?? {},
  }
  for (const field of positive) {
    if (!(made[field] > 0)) throw new RangeError(`SimulatedServer: ${field} must be above 0, got ${made[field]}`)
  }
  for (const field of ["parallelism", "maxLoaded", "maxQueue", "callsMax"] as const) {
    if (!Number.isInteger(made[field]) || made[field] < (field === "parallelism" ? 1 : 0)) {
      throw new RangeError(`SimulatedServer: ${field} must be a whole number, got ${made[field]}`)
    }
  }
  if (made.gpuUuids.length > 0 && made.gpuUuids.length !== gpus.length) {
    throw new RangeError(`SimulatedServer: gpuUuids must name each of ${gpus.length} GPUs, got ${made.gpuUuids.length}`)
  }
  if (!(made.slotDelay[0] <= made.slotDelay[1])) {
    throw new RangeError(
      `SimulatedServer: slotDelay must not begin above its end, got ${made.slotDelay.join(" to ")} ms`,
    )
  }
  return made
}
