/**
 * Reads the geometry of a model from the answer of `/api/show`.
 *
 * @since 0.1.0
 */
import type { Geometry, SlidingWindow } from "../../../services/Geometry.ts"
import * as Architecture from "./architectures.ts"
import { type Metadata, metadata } from "./metadata.ts"
import { recurrentOf } from "./recurrent.ts"
import { inputWeights, type Tensor } from "./tensors.ts"

/**
 * The fields of `/api/show` that the geometry is read from. With `verbose` they include the arrays of `model_info`
 * and `tensors`. Without it, arrays of more than five elements are empty, and bounds take their place.
 *
 * @category models
 * @since 0.1.0
 */
export interface Description {
  readonly model_info?: Readonly<Record<string, unknown>> | null | undefined
  readonly projector_info?: Readonly<Record<string, unknown>> | null | undefined
  readonly tensors?: ReadonlyArray<Tensor> | null | undefined
  readonly capabilities?: ReadonlyArray<string> | null | undefined
  readonly parameters?: string | undefined
  readonly modelfile?: string | undefined
}

/** For models that do not state their vocabulary: the largest one known, of Gemma 3 and 4. */
const vocabularyMax = 262_144

/** The shortest heads known. They give an upper bound of the number of heads where the file does not state it. */
const headLengthMin = 64

interface Heads {
  readonly heads: number
  readonly kvHeads: number | ReadonlyArray<number>
  /** Whether an array was left out, so that a bound takes its place. */
  readonly bound: boolean
}

const headsOf = (info: Metadata, layers: number, embeddingLength: number): Heads => {
  const withheldHeads = info.withheld("attention.head_count")
  const heads = Architecture.isRecurrent(info.architecture)
    ? 0
    : info.largest("attention.head_count") ?? (withheldHeads ? Math.ceil(embeddingLength / headLengthMin) : 0)
  const perLayer = info.numbers("attention.head_count_kv")
  // If the key is missing, each head has its own, as in llama.cpp. The same is the bound for an array that was left
  // out.
  const kvHeads = perLayer !== undefined
    ? Array.from({ length: layers }, (_, layer) => perLayer[Math.min(layer, perLayer.length - 1)] ?? heads)
    : info.number("attention.head_count_kv") ?? heads
  return {
    heads,
    kvHeads: heads === 0 ? 0 : kvHeads,
    bound: withheldHeads || info.withheld("attention.head_count_kv"),
  }
}

const windowOf = (info: Metadata, layers: number): { readonly window?: SlidingWindow; readonly bound: boolean } => {
  const size = info.number("attention.sliding_window") ?? Architecture.windowOf(info.architecture)
  if (size === undefined || size <= 0) return { bound: false }
  const stated = info.flags("attention.sliding_window_pattern")
  const windowed = stated !== undefined
    ? Array.from({ length: layers }, (_, layer) => stated[layer] ?? false)
    : Architecture.windowedLayers(info.architecture, layers, info.number("attention.sliding_window_pattern"))
  // Without a pattern every layer counts as full, which is an upper bound.
  if (windowed === undefined) return { bound: info.withheld("attention.sliding_window_pattern") }
  const keyLength = info.number("attention.key_length_swa")
  const valueLength = info.number("attention.value_length_swa")
  return { window: { size, layers: windowed, keyLength, valueLength }, bound: false }
}

/**
 * Compressed keys, and no values, if the file was made for latent attention. In older files each head keeps its own
 * keys and values.
 */
const latentOf = (info: Metadata): number | undefined => {
  const rank = info.number("attention.kv_lora_rank")
  if (rank === undefined || rank <= 0 || info.number("attention.key_length_mla") === undefined) return undefined
  return rank + (info.number("rope.dimension_count") ?? 0)
}

const vocabularyOf = (info: Metadata, tensors: ReadonlyArray<Tensor>): number =>
  info.number("vocab_size") ??
    info.length("tokenizer.ggml.tokens") ??
    tensors.find(({ name }) => name === "token_embd.weight")?.shape[1] ??
    vocabularyMax

const parameter = (parameters: string | undefined, name: string): number | undefined => {
  const found = new RegExp(`^\\s*${name}\\s+"?(\\d+)`, "m").exec(parameters ?? "")
  return found?.[1] === undefined ? undefined : Number(found[1])
}

/**
 * Whether a draft model runs. A separate one always does; one in the same file only if `draft_num_predict` asks for it.
 */
const hasDraft = (info: Metadata, { modelfile, parameters }: Description): boolean =>
  /^DRAFT\s/m.test(modelfile ?? "") ||
  ((info.number("nextn_predict_layers") ?? 0) > 0 && (parameter(parameters, "draft_num_predict") ?? 0) > 0)

const hasProjector = (info: Metadata, { capabilities, projector_info }: Description): boolean =>
  (projector_info !== null && projector_info !== undefined && Object.keys(projector_info).length > 0) ||
  (capabilities ?? []).some((each) => each === "vision" || each === "audio") ||
  info.has("vision.block_count") || info.has("audio.block_count")

const expertsOf = (info: Metadata): Geometry["experts"] => {
  const used = info.number("expert_used_count")
  const feedForward = info.number("expert_feed_forward_length")
  return used === undefined || feedForward === undefined ? undefined : { used, feedForward }
}

/**
 * Reads the geometry; `undefined` if the answer lacks a field that every model has.
 *
 * **Details**
 *
 * An upper bound takes the place of a field that was left out, and the geometry is then not `exact`: the largest
 * number of heads of any layer, full layers instead of windowed ones, and layers that are both recurrent and full in
 * hybrids. Only the bound of the vocabulary leaves it exact, because it adds at most half a gigabyte, for the largest
 * batch.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromShow = (description: Description): Geometry | undefined => {
  const info = metadata(description.model_info ?? {})
  const layers = info?.number("block_count")
  const embeddingLength = info?.number("embedding_length")
  if (info === undefined || layers === undefined || embeddingLength === undefined || layers < 1) return undefined
  const { architecture } = info
  const tensors = description.tensors ?? []
  const heads = headsOf(info, layers, embeddingLength)
  const hybrid = recurrentOf(info, layers, embeddingLength, heads.kvHeads)
  const { bound: windowBound, window } = windowOf(info, layers)
  const headLength = heads.heads === 0 ? 0 : Math.floor(embeddingLength / heads.heads)
  const encoder = Architecture.isEncoder(architecture) || info.flag("attention.causal") === false
  return {
    architecture,
    layers,
    embeddingLength,
    heads: heads.heads,
    kvHeads: hybrid.kvHeads,
    keyLength: info.number("attention.key_length") ?? headLength,
    valueLength: info.number("attention.value_length") ?? headLength,
    sharedKvLayers: info.number("attention.shared_kv_layers") ?? 0,
    vocabulary: vocabularyOf(info, tensors),
    contextTrained: info.number("context_length"),
    window,
    latentLength: latentOf(info),
    recurrent: hybrid.recurrent,
    feedForward: info.largest("feed_forward_length"),
    experts: expertsOf(info),
    // As in Ollama, where this key decides and not the capability.
    embedder: encoder || info.has("pooling_type"),
    encoder,
    projector: hasProjector(info, description),
    draft: hasDraft(info, description),
    batch: parameter(description.parameters, "num_batch"),
    inputWeights: inputWeights(tensors),
    exact: Architecture.isKnown(architecture) && !heads.bound && !windowBound && !hybrid.bound,
  }
}
