/**
 * `model_info` and `tensors` of `/api/show`.
 *
 * @since 0.1.0
 */
import { word } from "./language.ts"
import type { SimulatedModel } from "./simulatedModel.ts"

/**
 * `model_info` of the weights' file. Long arrays are `null` unless `verbose`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const modelInfo = (model: SimulatedModel, verbose: boolean): Record<string, unknown> => {
  const of = model.architecture
  const embeds = model.capabilities.includes("embedding")
  const list = (item: (index: number) => unknown) =>
    verbose ? Array.from({ length: model.vocabulary }, (_, index) => item(index)) : null
  const info: Record<string, unknown> = {
    "general.architecture": of,
    "general.file_type": model.quantization === "unknown" ? 0 : 15,
    "general.parameter_count": model.parameterCount,
    "general.quantization_version": 2,
    [`${of}.attention.head_count`]: model.heads,
    [`${of}.attention.head_count_kv`]: model.kvHeads,
    [`${of}.attention.layer_norm_rms_epsilon`]: 0.00001,
    [`${of}.block_count`]: model.blocks,
    [`${of}.context_length`]: model.contextTrained,
    [`${of}.embedding_length`]: model.embeddingLength,
    [`${of}.feed_forward_length`]: model.feedForward,
    ...(embeds ? { [`${of}.pooling_type`]: 1 } : {}),
    [`${of}.rope.dimension_count`]: model.embeddingLength / model.heads,
    [`${of}.vocab_size`]: model.vocabulary,
    "tokenizer.ggml.add_bos_token": true,
    "tokenizer.ggml.add_eos_token": false,
    "tokenizer.ggml.bos_token_id": 1,
    "tokenizer.ggml.eos_token_id": 2,
    "tokenizer.ggml.model": "llama",
    "tokenizer.ggml.pre": "default",
    "tokenizer.ggml.scores": list(() => 0),
    "tokenizer.ggml.token_type": list(() => 1),
    "tokenizer.ggml.tokens": list(word),
    "tokenizer.ggml.unknown_token_id": 0,
  }
  return Object.fromEntries(Object.entries(info).sort(([a], [b]) => a < b ? -1 : 1))
}

/**
 * The tensors in the weights' file.
 *
 * @category constructors
 * @since 0.1.0
 */
export const tensors = (model: SimulatedModel): ReadonlyArray<object> => {
  const { embeddingLength: width, feedForward, vocabulary } = model
  const cache = width / model.heads * model.kvHeads
  const type = model.quantization === "unknown" ? "F32" : model.quantization.replace(/_M$/, "")
  const tensor = (name: string, ...shape: ReadonlyArray<number>) => ({
    name: `${name}.weight`,
    type: shape.length === 1 ? "F32" : type,
    shape,
  })
  const block = (index: number) => [
    tensor(`blk.${index}.attn_k`, width, cache),
    tensor(`blk.${index}.attn_norm`, width),
    tensor(`blk.${index}.attn_output`, width, width),
    tensor(`blk.${index}.attn_q`, width, width),
    tensor(`blk.${index}.attn_v`, width, cache),
    tensor(`blk.${index}.ffn_down`, feedForward, width),
    tensor(`blk.${index}.ffn_gate`, width, feedForward),
    tensor(`blk.${index}.ffn_norm`, width),
    tensor(`blk.${index}.ffn_up`, width, feedForward),
  ]
  return [
    tensor("output", width, vocabulary),
    tensor("output_norm", width),
    tensor("token_embd", width, vocabulary),
    ...Array.from({ length: model.blocks }, (_, index) => block(index)).flat(),
  ]
}
