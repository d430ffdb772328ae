/**
 * Facts about single architectures that are not in the file of the weights but in the source of llama.cpp.
 *
 * @since 0.1.0
 */

/**
 * Period of the sliding window: of every `period` layers all but one are windowed. The one is the last, or the first
 * with `denseFirst`. From the `set_swa_pattern` calls in llama.cpp's model loaders. Architectures that are not listed
 * do not use the window of their file (`phi3`, `llama`), or list their windowed layers in the file (`gemma4`).
 */
const windowed: ReadonlyMap<string, { readonly period: number; readonly denseFirst?: boolean }> = new Map([
  ["afmoe", { period: 4 }],
  ["cohere2", { period: 4 }],
  ["exaone-moe", { period: 4 }],
  ["exaone4", { period: 4 }],
  ["gemma-embedding", { period: 6 }],
  ["gemma2", { period: 2 }],
  ["gemma3", { period: 6 }],
  ["gemma3n", { period: 5 }],
  ["gpt-oss", { period: 2 }],
  ["gptoss", { period: 2 }],
  ["llama4", { period: 4 }],
  ["modern-bert", { period: 3, denseFirst: true }],
  ["olmo2", { period: 4 }],
  ["smallthinker", { period: 4, denseFirst: true }],
])

/** Sizes of windows that are in llama.cpp's source instead of in the file. */
const windows: ReadonlyMap<string, number> = new Map([["llama4", 8192]])

/** For hybrids whose file does not state it: one of so many layers has full attention. */
const hybridInterval: ReadonlyMap<string, number> = new Map([["qwen3next", 4], ["qwen35", 4], ["qwen35moe", 4]])

/** Encoders: their attention covers the whole batch in both directions. */
const encoders = new Set([
  "bert",
  "gemma-embedding",
  "jina-bert-v2",
  "jina-bert-v3",
  "modern-bert",
  "neo-bert",
  "nomic-bert",
  "nomic-bert-moe",
])

/** Architectures with only recurrent layers, and no attention. */
const recurrent = new Set(["mamba", "mamba2", "rwkv6", "rwkv7", "rwkv6qwen2", "arwkv7"])

/**
 * Architectures for which the formulas hold: full or windowed attention, dense or with experts, and the hybrids
 * above. Latent attention is missing, because its compute buffers can need gigabytes more (DeepSeek V4: 2 to 4.6 GiB
 * for each GPU).
 */
const known = new Set(
  [
    "bert nomic-bert nomic-bert-moe modern-bert gemma-embedding",
    "cohere2 command-r exaone exaone4 falcon glm4 gpt-oss gptoss granite granitemoe internlm2",
    "gemma gemma2 gemma3 gemma4 llama llama4 mistral3 olmo olmo2 olmoe phi2 phi3",
    "qwen2 qwen2moe qwen2vl qwen25vl qwen3 qwen3moe qwen3vl qwen3vlmoe qwen3next qwen35 qwen35moe",
    "smollm3 stablelm starcoder2",
  ].flatMap((line) => line.split(" ")),
)

/** Whether the formulas hold for an architecture. @category predicates @since 0.1.0 */
export const isKnown = (architecture: string): boolean => known.has(architecture)

/** Whether an architecture is a bidirectional encoder. @category predicates @since 0.1.0 */
export const isEncoder = (architecture: string): boolean => encoders.has(architecture)

/** Whether an architecture has no attention. @category predicates @since 0.1.0 */
export const isRecurrent = (architecture: string): boolean => recurrent.has(architecture)

/** The size of the window in tokens, if llama.cpp's source states it. @category accessors @since 0.1.0 */
export const windowOf = (architecture: string): number | undefined => windows.get(architecture)

/** In a hybrid, one of so many layers has full attention. @category accessors @since 0.1.0 */
export const hybridIntervalOf = (architecture: string): number | undefined => hybridInterval.get(architecture)

/**
 * Which layers are windowed; `undefined` if none are. `stated` is the period in the file, if there is one.
 *
 * @category accessors
 * @since 0.1.0
 */
export const windowedLayers = (
  architecture: string,
  layers: number,
  stated: number | undefined,
): ReadonlyArray<boolean> | undefined => {
  const own = windowed.get(architecture)
  const period = own === undefined ? undefined : stated ?? own.period
  if (own === undefined || period === undefined || period < 2) return undefined
  const dense = own.denseFirst === true ? 0 : period - 1
  return Array.from({ length: layers }, (_, layer) => layer % period !== dense)
}
