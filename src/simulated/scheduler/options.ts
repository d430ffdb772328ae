/**
 * `options` of a request: their types, and which of them decide how a model is loaded.
 *
 * @since 0.1.0
 */
import { Result } from "effect"
import { isEmbedder, type SimulatedModel } from "../models/model.ts"

/**
 * How a runner was loaded: the seven options that Ollama compares, and the context-shift flag. `undefined` is "not
 * given".
 *
 * @category models
 * @since 0.1.0
 */
export interface RunnerOptions {
  /** The context in tokens, after defaults and limits. */
  readonly numCtx: number
  /** Whether the request gave no context, so that Ollama chose it. */
  readonly numCtxAuto: boolean
  readonly numBatch: number
  readonly numBatchAuto: boolean
  /** Number of layers on GPUs; negative for as many as fit. */
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

/** For each option, the type that Ollama's error text names, and the check. */
const types: ReadonlyMap<string, Check> = new Map<string, Check>([
  ...integers.map((name): [string, Check] => [name, ["integer", isNumber]]),
  ...floats.map((name): [string, Check] => [name, ["float32", isNumber]]),
  ["use_mmap", ["boolean", (value) => typeof value === "boolean"]],
  ["stop", ["array", (value) => Array.isArray(value)]],
])

/**
 * The options, if their types are right; otherwise Ollama's text, for a 500. Unknown options are dropped.
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
 * The default context in tokens, by total bytes of GPU memory.
 *
 * @category constructors
 * @since 0.1.0
 */
export const defaultContext = (vram: number): number =>
  vram < 23 * gibibyte ? 4096 : vram < 47 * gibibyte ? 32768 : 262144

/**
 * The context with which Ollama tries again after a load that ran out of memory, if it chose the context itself;
 * `undefined` if there is none.
 *
 * @category constructors
 * @since 0.1.0
 */
export const lowerContext = (context: number): number | undefined =>
  context > 32768 ? 32768 : context > 4096 ? 4096 : undefined

/**
 * The default batch for a context of all sequences together.
 *
 * @category constructors
 * @since 0.1.0
 */
export const automaticBatch = (context: number): number => context > 32768 ? 2048 : context > 4096 ? 1024 : 512

/**
 * How a request needs its runner to be loaded. `automatic` is the context that Ollama would choose, `parallelism` its
 * `OLLAMA_NUM_PARALLEL`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const runnerOptions = (
  model: SimulatedModel,
  asked: Readonly<Record<string, unknown>>,
  shift: boolean,
  automatic: number,
  parallelism = 1,
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
    numBatch: batch ?? automaticBatch(numCtx * parallelismOf(model, parallelism)),
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
 * The options for a second attempt with a shorter context; `undefined` if the context was asked for or is the shortest.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withLowerContext = (
  options: RunnerOptions,
  model: SimulatedModel,
  parallelism: number,
): RunnerOptions | undefined => {
  const numCtx = options.numCtxAuto ? lowerContext(options.numCtx) : undefined
  if (numCtx === undefined) return undefined
  const numBatch = automaticBatch(numCtx * parallelismOf(model, parallelism))
  return { ...options, numCtx, ...(options.numBatchAuto ? { numBatch } : {}) }
}

/**
 * Whether a loaded runner cannot serve a request, so that Ollama loads the model again.
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

/** Families whose runners serve one request at a time, with any `OLLAMA_NUM_PARALLEL`. */
const serial = /^(mllama|qwen3vl(moe)?|qwen35(moe)?|qwen3next|lfm2(moe)?|nemotron_h.*)$/

/**
 * How many requests a runner of a model serves at the same time.
 *
 * @category constructors
 * @since 0.1.0
 */
export const parallelismOf = (model: SimulatedModel, parallelism: number): number =>
  isEmbedder(model) || serial.test(model.family) ? 1 : parallelism
