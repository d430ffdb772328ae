/**
 * Whether a model runs with flash attention. Ollama since 0.30 starts llama-server with `--flash-attn auto`, unless
 * `OLLAMA_FLASH_ATTENTION` or the device says otherwise (`LlamaServerFlashAttention`). "Auto" means on, where the
 * device has a kernel for the model.
 *
 * @since 0.1.0
 */
import type { RunShape } from "../../../services/Footprint.ts"
import type { Geometry } from "../../../services/Geometry.ts"
import * as Versions from "./versions.ts"

/** @category models @since 0.1.0 */
export type Known = Exclude<RunShape["flashAttention"], "auto">

/** Elements of a head for which llama.cpp's kernels exist (`ggml_cuda_get_best_fattn_kernel`). */
const headLengths = new Set([40, 64, 72, 80, 96, 112, 128, 256, 512])

/** llama.cpp switches flash attention off for these. */
const without = new Set(["grok"])

const hasKernel = (keyLength: number, valueLength: number): boolean =>
  keyLength === valueLength && headLengths.has(keyLength)

/**
 * What "auto" means for a model: on, where keys and values have one of the lengths for which kernels exist. With latent
 * attention it depends on the device and the build, so it is not known.
 */
const automatic = ({ architecture, heads, keyLength, latentLength, valueLength, window }: Geometry): Known => {
  if (without.has(architecture)) return "off"
  if (heads === 0) return "on"
  if (latentLength !== undefined || !hasKernel(keyLength, valueLength)) return "unknown"
  return hasKernel(window?.keyLength ?? keyLength, window?.valueLength ?? valueLength) ? "on" : "unknown"
}

/** @category conversions @since 0.1.0 */
export const of = (geometry: Geometry, { flashAttention }: RunShape): Known =>
  flashAttention === "auto" ? automatic(geometry) : flashAttention

/**
 * The shape on a server of this version. Before 0.30 "auto" did not exist: flash attention was on for some models, and
 * which ones depended on the version.
 *
 * @category conversions
 * @since 0.1.0
 */
export const onVersion = (shape: RunShape, version: string | undefined): RunShape =>
  shape.flashAttention === "auto" && Versions.runsLlamaServer(version) === false
    ? { ...shape, flashAttention: "unknown" }
    : shape
