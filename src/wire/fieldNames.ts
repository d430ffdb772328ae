/**
 * The keys that are read from a body, and how they are recognised in bytes, in any letter case.
 *
 * @since 0.1.0
 */
import { readString } from "./json.ts"

/** Each key is one bit, so a set of keys is a number. @internal */
export const model = 1
/** @internal */
export const stream = 2
/** @internal */
export const keepAlive = 4
/** @internal */
export const options = 8
/** @internal */
export const prompt = 16
/** @internal */
export const messages = 32
/** @internal */
export const input = 64
/** @internal */
export const system = 128
/** @internal */
export const suffix = 256
/** @internal */
export const tools = 512
/** @internal */
export const instructions = 1024
/** The keys that hold the prompt. @internal */
export const prompts: number = prompt | messages | input | system | suffix | tools | instructions
/** In `options` only. @internal */
export const numCtx = 2048
/** In `options`, and at the top of `/v1`. @internal */
export const temperature = 4096
/** In `options`, and at the top of `/v1`. @internal */
export const seed = 8192
/** In `options`. Ollama reloads a model when this key, or one of the next five, has another value. @internal */
export const numThread = 16384
/** @internal */
export const numGpu = 32768
/** @internal */
export const numBatch = 65536
/** @internal */
export const mainGpu = 131072
/** @internal */
export const useMmap = 262144
/** @internal */
export const draftNumPredict = 524288
/** At the top of the native dialect. Another value makes Ollama reload a model, too. @internal */
export const shift = 1048576
/** At the top. Whether Ollama cuts a prompt that is too long. @internal */
export const truncate = 2097152
/** At the top of `/v1`: the same in OpenAI's words. @internal */
export const truncation = 4194304
/** The keys that change how a model is loaded, except `num_ctx`. @internal */
export const runner: number = numThread | numGpu | numBatch | mainGpu | useMmap | draftNumPredict | shift
/** The top-level keys of the native dialect. @internal */
export const all: number = 2047 | shift | truncate
/** The keys that decide whether the same call gives the same answer again. @internal */
export const sampling: number = temperature | seed

const names: ReadonlyArray<readonly [number, string]> = [
  [model, "model"],
  [stream, "stream"],
  [keepAlive, "keep_alive"],
  [options, "options"],
  [prompt, "prompt"],
  [messages, "messages"],
  [input, "input"],
  [system, "system"],
  [suffix, "suffix"],
  [tools, "tools"],
  [instructions, "instructions"],
  [numCtx, "num_ctx"],
  [temperature, "temperature"],
  [seed, "seed"],
  [numThread, "num_thread"],
  [numGpu, "num_gpu"],
  [numBatch, "num_batch"],
  [mainGpu, "main_gpu"],
  [useMmap, "use_mmap"],
  [draftNumPredict, "draft_num_predict"],
  [shift, "shift"],
  [truncate, "truncate"],
  [truncation, "truncation"],
]

/** The name of one key. @internal */
export const nameOf = (key: number): string => names.find(([bit]) => bit === key)?.[1] ?? ""

const lengthMax = Math.max(...names.map(([, name]) => name.length))

/** Keys by the length of their name. At most four share a length. */
const byLength: ReadonlyArray<ReadonlyArray<readonly [number, string]> | undefined> = Array.from(
  { length: lengthMax + 1 },
  (_, length) => {
    const some = names.filter(([, name]) => name.length === length)
    return some.length > 0 ? some : undefined
  },
)

/** The length of the longest name, quotes included, when each of its characters is written as an escape. */
const spanMax = lengthMax * 6 + 2

const same = (bytes: Uint8Array, start: number, name: string): boolean => {
  for (let i = 0; i < name.length; i++) {
    const byte = bytes[start + i]!
    if ((byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte) !== name.charCodeAt(i)) return false
  }
  return true
}

/** Go's case folding includes the long s and the Kelvin sign: Ollama reads `optionſ` as `options`. @internal */
export const fold = (key: string): string => key.toLowerCase().replaceAll("\u017f", "s").replaceAll("\u212a", "k")

const folded = (bytes: Uint8Array, start: number, end: number): number => {
  const key = fold(readString(bytes, start, end) ?? "")
  return names.find(([, name]) => name === key)?.[0] ?? 0
}

/**
 * The key of `options` that the JSON string in the span names. Ollama reads `options` as a map, in which case matters:
 * it ignores `NUM_CTX`.
 *
 * @internal
 */
export const findOption = (bytes: Uint8Array, start: number, end: number): number => {
  const key = find(bytes, start, end)
  return key !== 0 && readString(bytes, start, end) === nameOf(key) ? key : 0
}

/** The key that the JSON string in the span (quotes included) names; `0` when it is none of them. @internal */
export const find = (bytes: Uint8Array, start: number, end: number): number => {
  const length = end - start - 2
  if (end - start > spanMax) return 0
  for (let i = start + 1; i < end - 1; i++) {
    const byte = bytes[i]!
    if (byte === 0x5c || byte >= 0x80) return folded(bytes, start, end)
  }
  const candidates = byLength[length]
  if (candidates === undefined) return 0
  for (let i = 0; i < candidates.length; i++) {
    const candidate = candidates[i]!
    if (same(bytes, start + 1, candidate[1])) return candidate[0]
  }
  return 0
}
