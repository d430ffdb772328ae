/**
 * Layers that keep a state of fixed size instead of a cache.
 *
 * @since 0.1.0
 */
import type { Geometry } from "../../../services/Geometry.ts"
import * as Architecture from "./architectures.ts"
import type { Metadata } from "./metadata.ts"

/**
 * Elements that one sequence keeps in one layer: `n_embd_r + n_embd_s` of llama.cpp.
 *
 * - Mamba and gated delta nets: `(conv - 1) * (inner + 2 * groups * state) + state * inner`
 * - RWKV: `shifts * embedding + embedding * head`
 * - short convolutions (LFM2): `embedding * (length - 1)`
 */
const elementsOf = (info: Metadata, embeddingLength: number): number | undefined => {
  const head = info.number("wkv.head_size")
  if (head !== undefined && head > 0) return embeddingLength * ((info.number("token_shift_count") ?? 2) + head)
  const length = info.number("shortconv.l_cache")
  if (length !== undefined && length > 0) return embeddingLength * (length - 1)
  const inner = info.number("ssm.inner_size")
  const state = info.number("ssm.state_size")
  if (inner === undefined || state === undefined) return undefined
  const convolution = Math.max(0, (info.number("ssm.conv_kernel") ?? 0) - 1)
  return convolution * (inner + 2 * (info.number("ssm.group_count") ?? 0) * state) + state * inner
}

/**
 * Which layers are recurrent: those without heads for keys and values, those between the full layers of a hybrid, or
 * all. If the file does not state it, every layer counts as both.
 *
 * @category accessors
 * @since 0.1.0
 */
export const recurrentOf = (
  info: Metadata,
  layers: number,
  embeddingLength: number,
  kvHeads: Geometry["kvHeads"],
): { readonly recurrent: Geometry["recurrent"]; readonly kvHeads: Geometry["kvHeads"]; readonly bound: boolean } => {
  const elements = elementsOf(info, embeddingLength)
  if (elements === undefined) return { recurrent: undefined, kvHeads, bound: false }
  const all = { layers, elements }
  if (Architecture.isRecurrent(info.architecture)) return { recurrent: all, kvHeads: 0, bound: false }
  if (typeof kvHeads !== "number" && kvHeads.includes(0)) {
    return { recurrent: { layers: kvHeads.filter((heads) => heads === 0).length, elements }, kvHeads, bound: false }
  }
  const interval = info.number("full_attention_interval") ?? Architecture.hybridIntervalOf(info.architecture)
  if (interval === undefined || interval < 1) return { recurrent: all, kvHeads, bound: true }
  const full = (layer: number) => (layer + 1) % interval === 0
  const each = (layer: number) => typeof kvHeads === "number" ? kvHeads : kvHeads[layer] ?? 0
  return {
    recurrent: { layers: layers - Math.floor(layers / interval), elements },
    kvHeads: Array.from({ length: layers }, (_, layer) => full(layer) ? each(layer) : 0),
    bound: false,
  }
}
