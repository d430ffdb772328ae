/**
 * Ollama's environment variables as Ollama reads them (`envconfig/config.go` of 0.33).
 *
 * @since 0.1.0
 */
import { Option, Result } from "effect"
import * as GoDuration from "../../wire/goDuration.ts"

/** Variables by name. */
export type Env = Readonly<Record<string, string>>

/** What a variable says: `set` is `undefined` where it is not set, or cannot be read. */
export interface Reading {
  /** The text, without the blanks and quotes that Ollama removes; empty where it is not set. */
  readonly text: string
  readonly value: number | undefined
}

const textOf = (env: Env, name: string): string => (env[name] ?? "").trim().replace(/^["']+|["']+$/g, "")

const read = (env: Env, name: string, parse: (text: string) => number | undefined): Reading => {
  const text = textOf(env, name)
  return { text, value: text === "" ? undefined : parse(text) }
}

const whole = (text: string): number | undefined => /^\d+$/.test(text) ? Number(text) : undefined

/** Go's duration, or a whole number of seconds. */
const duration = (text: string): number | undefined =>
  Option.getOrElse(
    Result.getSuccess(GoDuration.parse(text)),
    () => /^[+-]?\d+$/.test(text) ? Number(text) * 1000 : undefined,
  )

/** `OLLAMA_NUM_PARALLEL`. */
export const parallel = (env: Env): Reading => read(env, "OLLAMA_NUM_PARALLEL", whole)

/** `OLLAMA_MAX_LOADED_MODELS`. 0 is "automatic". */
export const maxLoaded = (env: Env): Reading => read(env, "OLLAMA_MAX_LOADED_MODELS", whole)

/** `OLLAMA_CONTEXT_LENGTH`. 0 is "automatic". */
export const contextLength = (env: Env): Reading => read(env, "OLLAMA_CONTEXT_LENGTH", whole)

/** `OLLAMA_GPU_OVERHEAD`, in bytes. */
export const gpuOverhead = (env: Env): Reading => read(env, "OLLAMA_GPU_OVERHEAD", whole)

/** `OLLAMA_KEEP_ALIVE` in milliseconds. A negative time means for ever. */
export const keepAlive = (env: Env): Reading => {
  const { text, value } = read(env, "OLLAMA_KEEP_ALIVE", duration)
  return { text, value: value !== undefined && value < 0 ? Infinity : value }
}

/** `OLLAMA_LOAD_TIMEOUT` in milliseconds. 0 and negative times mean no limit. */
export const loadTimeout = (env: Env): Reading => {
  const { text, value } = read(env, "OLLAMA_LOAD_TIMEOUT", duration)
  return { text, value: value !== undefined && value <= 0 ? Infinity : value }
}

/** `LLAMA_ARG_FIT_TARGET` of llama.cpp, in bytes: what it leaves free on each device. The largest of several. */
export const fitTarget = (env: Env): Reading =>
  read(env, "LLAMA_ARG_FIT_TARGET", (text) => {
    const parts = text.split(",").map((part) => whole(part.trim()))
    return parts.every((part) => part !== undefined) ? Math.max(...parts) * 1024 ** 2 : undefined
  })

/** The variables whose values Ollama can fail to read, with what each wants and its default. */
export const readable: ReadonlyArray<{
  readonly name: string
  readonly read: (env: Env) => Reading
  readonly wanted: string
  readonly fallback: string
}> = [
  { name: "OLLAMA_NUM_PARALLEL", read: parallel, wanted: "a whole number, such as 4", fallback: "1" },
  { name: "OLLAMA_KEEP_ALIVE", read: keepAlive, wanted: "a duration, such as 30m or -1", fallback: "5m" },
  { name: "OLLAMA_LOAD_TIMEOUT", read: loadTimeout, wanted: "a duration, such as 10m", fallback: "5m" },
  { name: "OLLAMA_CONTEXT_LENGTH", read: contextLength, wanted: "a whole number of tokens", fallback: "automatic" },
  {
    name: "OLLAMA_MAX_LOADED_MODELS",
    read: maxLoaded,
    wanted: "a whole number, such as 6",
    fallback: "3 for each GPU",
  },
]
