/**
 * Ollama uses the GPUs that there are.
 *
 * @since 0.1.0
 */
import { onCpu } from "../../../services/Fleet.ts"
import { type Check, type Finding, finding } from "../finding.ts"
import {
  answering,
  broken,
  devicesOf,
  environmentOf,
  type Observations,
  type ObservedBackend,
} from "../observations.ts"

/**
 * `CUDA_VISIBLE_DEVICES` where it is set and names no GPU: empty, or -1. Where a model is on a GPU all the same, such
 * as one that CUDA does not drive, it hides nothing.
 */
const hides = (observations: Observations, { backend, ps }: ObservedBackend): string | undefined => {
  if (ps?.some(({ size_vram }) => size_vram > 0) === true) return undefined
  const value = environmentOf(observations, backend.id)?.values["CUDA_VISIBLE_DEVICES"]
  return value !== undefined && /^\s*(-1)?\s*$/.test(value) ? value.trim() : undefined
}

/** A machine whose GPUs cannot be read has a finding of its own. Ollama most likely cannot use them either. */
const isBroken = ({ hosts }: Observations, { host }: ObservedBackend): boolean =>
  hosts.some((seen) => seen.name === host && broken(seen) !== undefined)

const unused = (observations: Observations, observed: ObservedBackend): Finding => {
  const { id } = observed.backend
  const count = observed.ps?.length ?? 0
  const symptom = `${count === 1 ? "its one loaded model is" : `its ${count} loaded models are`} in system memory only`
  if (devicesOf(observations, observed)?.length === 0) {
    return finding("cpu-unlabelled", {
      subject: id,
      symptom,
      cause: "Its machine has no GPU that can be read. The router does not know that it runs on the CPU.",
      remedy: "Label it `device: cpu` in the fleet file, so that no large model is sent to it.",
    })
  }
  return finding("gpu-unused", {
    subject: id,
    symptom,
    cause: "Ollama found no GPU at its start: the driver was not ready, the container has no GPU, or the GPU was lost.",
    remedy:
      "Look for `inference compute` in the log of Ollama. Give its container the GPU (`--gpus all`), then start it " +
      "again. If it is meant for the CPU, label it `device: cpu`.",
  })
}

/** Models are on GPUs. */
export const gpuUse: Check = (observations) =>
  answering(observations).flatMap((observed) => {
    if (onCpu(observed.backend) || isBroken(observations, observed)) return []
    const hidden = hides(observations, observed)
    if (hidden !== undefined) {
      return [finding("gpu-hidden", {
        subject: observed.backend.id,
        symptom: `CUDA_VISIBLE_DEVICES=${hidden} is set for Ollama`,
        cause: "It names no GPU, so Ollama runs every model on the CPU.",
        remedy: "Remove it, or name GPUs by their UUIDs. If it is meant, label the backend `device: cpu`.",
      })]
    }
    const loaded = (observed.ps ?? []).filter(({ size }) => size > 0)
    return loaded.length > 0 && loaded.every(({ size_vram }) => size_vram === 0) ? [unused(observations, observed)] : []
  })
