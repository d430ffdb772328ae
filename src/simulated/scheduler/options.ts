/**
 * `options` of a request: which of them decide how a model is loaded, and their types.
 *
 * @since 0.1.0
 */
import { Result } from "effect"
import { isEmbedder, type SimulatedModel } from "../models/model.ts"

/**
 * What a runner was loaded with: the seven options that Ollama compares, and the context-shift flag. `undefined` is "not said".
 *
 * @category models
 * @since 0.1.0
 */
export interface RunnerOptions {
  /** The context after defaults and clamping. */
  readonly numCtx: number
  /** Whether the request said nothing, so that Ollama chose. */
  readonly numCtxAuto: boolean
  readonly numBatch: number
  readonly numBatchAuto: boolean
  /** Layers on GPUs; negative for as many as fit. */
  readonly numGpu: number
  readonly mainGpu: number | undefined
  readonly useMmap: boolean | undefined
  readonly numThread: number
  readonly draftNumPredict: number
  readonly shift: boolean
}

const integers = [
  "num_ctx",
  "num_batch",
  "num_gpu",
  "main_gpu",
  "num_thread",
  "draft_num_predict",
  "num_keep",
  "seed",
  "num_predict",
  "top_k",
  "repeat_last_n",
]
const floats = [
  "top_p",
  "min_p",
  "typical_p",
  "temperature",
  "repeat_penalty",
  "presence_penalty",
  "frequency_penalty",
]

type Check = readonly [type: string, passes: (value: unknown) => boolean]

const isNumber = (value: unknown): boolean => typeof value === "number"

/** Option -> the type Ollama says it must have, and what passes. */
const types: ReadonlyMap<string, Check> = new Map<string, Check>([
  ...integers.map((name): [string, Check] => [name, ["integer", isNumber]]),
  ...floats.map((name): [string, Check] => [name, ["float32", isNumber]]),
  ["use_mmap", ["boolean", (value) => typeof value === "boolean"]],
  ["stop", ["array", (value) => Array.isArray(value)]],
])

/**
 * Options of the right types; a wrong one is Ollama's text, for a 500. Unknown ones are dropped.
 *
 * @category decoding
 * @since 0.1.0
 */
export const checkOptions = (value: unknown): Result.Result<Readonly<Record<string, unknown>>, string> => {
  const made: Record<string, unknown> = {}
  if (value === undefined) return Result.succeed(made)
  for (const [key, item] of Object.entries(value as object)) {
    const type = types.get(key)
    if (type === undefined || item === null) continue
    if (!type[1](item)) return Result.fail(`option ${JSON.stringify(key)} must be of type ${type[0]}`)
    made[key] = type[0] === "integer" ? Math.trunc(Number(item)) : item
  }
  return Result.succeed(made)
}

const gibibyte = 1024 ** 3

/**
 * The context a server loads with when nobody says: by total GPU memory.
 *
 * @category constructors
 * @since 0.1.0
 */
export const defaultContext = (vram: number): number =>
  vram < 23 * gibibyte ? 4096 : vram < 47 * gibibyte ? 32768 : 262144

/**
 * The automatic batch of a context.
 *
 * @category constructors
 * @since 0.1.0
 */
export const automaticBatch = (context: number): number => context > 32768 ? 2048 : context > 4096 ? 1024 : 512

/**
 * What a request wants its runner to be loaded with.
 *
 * @category constructors
 * @since 0.1.0
 */
export const runnerOptions = (
  model: SimulatedModel,
  asked: Readonly<Record<string, unknown>>,
  shift: boolean,
  automatic: number,
): RunnerOptions => {
  const merged = { ...model.parameters, ...asked }
  const number = (key: string): number | undefined => typeof merged[key] === "number" ? merged[key] : undefined
  const explicit = number("num_ctx")
  const least = model.capabilities.includes("vision") ? 2048 : 4
  const numCtx = Math.min(Math.max(explicit ?? automatic, least), model.contextTrained)
  const batch = number("num_batch")
  return {
    numCtx,
    numCtxAuto: explicit === undefined,
    numBatch: batch ?? automaticBatch(numCtx),
    numBatchAuto: batch === undefined,
    numGpu: number("num_gpu") ?? -1,
    mainGpu: number("main_gpu"),
    useMmap: typeof merged["use_mmap"] === "boolean" ? merged["use_mmap"] : undefined,
    numThread: number("num_thread") ?? 0,
    draftNumPredict: number("draft_num_predict") ?? 0,
    shift,
  }
}

/**
 * Whether a loaded runner cannot serve a request, so that Ollama unloads it and loads it again.
 *
 * @category guards
 * @since 0.1.0
 */
export const needsReload = (runner: RunnerOptions, wanted: RunnerOptions): boolean =>
  (!(runner.numCtxAuto && wanted.numCtxAuto) && runner.numCtx !== wanted.numCtx) ||
  (!(runner.numBatchAuto && wanted.numBatchAuto) && runner.numBatch !== wanted.numBatch) ||
  (wanted.numGpu >= 0 && runner.numGpu !== wanted.numGpu) ||
  runner.mainGpu !== wanted.mainGpu ||
  runner.useMmap !== wanted.useMmap ||
  runner.numThread !== wanted.numThread ||
  runner.draftNumPredict !== wanted.draftNumPredict ||
  runner.shift !== wanted.shift

/** Families whose runners take one request at a time, whatever `OLLAMA_NUM_PARALLEL` says. */
const serial = /^(mllama|qwen3vl(moe)?|qwen35(moe)?|qwen3next|lfm2(moe)?|nemotron_h.*)$/

/**
 * How many requests a runner of a model serves at a time.
 *
 * @category constructors
 * @since 0.1.0
 */
export const parallelismOf = (model: SimulatedModel, parallelism: number): number =>
  isEmbedder(model) || serial.test(model.family) ? 1 : parallelism
