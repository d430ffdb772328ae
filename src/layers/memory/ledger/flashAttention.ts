/**
 * What the devices of a backend say about flash attention.
 *
 * @since 0.1.0
 */
import type { RunShape } from "../../../services/Footprint.ts"
import type { DeviceAccount } from "./deviceAccount.ts"

/**
 * By NVIDIA's compute capability. From 7 on, "auto" means on. Ollama passes "off" below 6 and for 7.2
 * (`cudaFlashAttentionSupported`). In between it passes "auto", but llama.cpp does not have every kernel there, so the
 * larger of both is charged until a load shows more.
 *
 * A device without a compute capability is one of AMD, Apple or Intel, or an NVIDIA device whose source does not tell.
 * For all of them Ollama passes "auto", except for NVIDIA devices from before 2016.
 */
const ofDevice = (capability: number | undefined): RunShape["flashAttention"] => {
  if (capability === undefined) return "auto"
  if (capability < 6 || capability === 7.2) return "off"
  return capability < 7 ? "unknown" : "auto"
}

/**
 * For all devices of a backend together: as in Ollama, one device without flash attention is enough for "off".
 *
 * @category conversions
 * @since 0.1.0
 */
export const flashAttentionOf = (devices: ReadonlyArray<DeviceAccount>): RunShape["flashAttention"] => {
  const all = devices.map(({ capability }) => ofDevice(capability))
  return all.includes("off") ? "off" : all.includes("unknown") ? "unknown" : "auto"
}

/**
 * The batch in tokens that Ollama uses without flash attention on NVIDIA devices, if nobody asks for another one: 512,
 * or 256 for long contexts on small cards. (`automaticGenerationBatch`.)
 *
 * @category constants
 * @since 0.1.0
 */
export const batchWithout = 512
