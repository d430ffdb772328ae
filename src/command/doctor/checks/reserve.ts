/**
 * With `LLAMERO_VRAM=on`: the devices are known, and the reserve is neither too small nor too large.
 *
 * @since 0.1.0
 */
import { onCpu } from "../../../services/Fleet.ts"
import { bytes, type Check, finding } from "../finding.ts"
import {
  answering,
  broken,
  devicesOf,
  environmentOf,
  type Observations,
  type ObservedBackend,
} from "../observations.ts"
import * as Variables from "../ollamaVariables.ts"

const mebibyte = 1024 ** 2

/** The CUDA context and cuBLAS of one model took 153 to 753 MiB in public logs. `/api/ps` does not show them. */
const overheadMax = 512 * mebibyte

/** What llama.cpp leaves free on each device by default. */
const defaultTarget = 1024 * mebibyte

const whyUnknown = ({ hosts }: Observations, { host }: ObservedBackend): string =>
  hosts.some(({ name }) => name === host)
    ? "No source on its machine tells the memory of its GPUs."
    : "It runs on another machine, and no GPU agent of LLAMERO_AGENTS is there."

const isKnown = (observations: Observations, observed: ObservedBackend): boolean => {
  if (onCpu(observed.backend) || observed.backend.labels["memory"] !== undefined) return true
  const host = observations.hosts.find(({ name }) => name === observed.host)
  // GPUs that cannot be read are a finding of their own.
  if (host !== undefined && broken(host) !== undefined) return true
  const devices = devicesOf(observations, observed)
  return devices !== undefined && devices.every(({ total }) => total !== undefined)
}

/** The devices of every backend are known. */
export const devicesKnown: Check = (observations) =>
  !observations.settings.values.vram ? [] : answering(observations).flatMap((observed) => {
    if (isKnown(observations, observed)) return []
    return [finding("devices-unknown", {
      subject: observed.backend.id,
      symptom: "LLAMERO_VRAM is on, and the memory of its GPUs is not known",
      cause: whyUnknown(observations, observed),
      remedy: "Run a GPU agent on its machine and name it in LLAMERO_AGENTS, or write the label memory in the fleet " +
        "file. Until then Ollama manages this memory.",
    })]
  })

/** `LLAMERO_VRAM_RESERVE` against the devices, and against what Ollama leaves free. */
export const reserve: Check = (observations) => {
  const { vram, vramReserve } = observations.settings.values
  if (!vram) return []
  const backends = answering(observations)
  const targets = backends.map(({ backend }) => environmentOf(observations, backend.id)).map((environment) =>
    environment === undefined ? undefined : Variables.fitTarget(environment.values).value
  )
  const isTargetSet = targets.length > 0 && targets.every((target) => target !== undefined)
  const sizes = backends.flatMap((observed) => devicesOf(observations, observed) ?? []).flatMap(({ total }) =>
    total ?? []
  )
  const smallest = Math.min(...sizes)
  if (vramReserve < overheadMax || (vramReserve < defaultTarget && !isTargetSet)) {
    return [finding("reserve-small", {
      subject: "LLAMERO_VRAM_RESERVE",
      symptom: `${bytes(vramReserve)} stay free on each GPU`,
      cause: vramReserve < overheadMax
        ? "A model takes up to 0.7 GiB that Ollama does not report. Without a reserve for it, layers spill."
        : "Ollama itself leaves 1 GiB free on each GPU, and spills the layers that would take it.",
      remedy: "Remove it, which means 2GiB, or set 1GiB or more.",
    })]
  }
  if (vramReserve <= smallest / 2) return []
  return [finding("reserve-large", {
    subject: "LLAMERO_VRAM_RESERVE",
    symptom: `${bytes(vramReserve)} stay free on each GPU, and the smallest one has ${bytes(smallest)}`,
    cause: "llamero loads models into the rest only. Models that would fit are refused or loaded elsewhere.",
    remedy: "Set it to 1GiB or 2GiB. It is per GPU, not for all GPUs together.",
  })]
}

/** `LLAMA_ARG_FIT_TARGET` of Ollama against the reserve. */
export const target: Check = (observations) => {
  const { vram, vramReserve } = observations.settings.values
  if (!vram) return []
  return answering(observations).flatMap(({ backend }) => {
    const environment = environmentOf(observations, backend.id)
    const free = environment === undefined ? undefined : Variables.fitTarget(environment.values).value
    if (free === undefined || free <= vramReserve) return []
    return [finding("fit-target-large", {
      subject: backend.id,
      symptom: `LLAMA_ARG_FIT_TARGET is ${bytes(free)}, and LLAMERO_VRAM_RESERVE is ${bytes(vramReserve)}`,
      cause: "Ollama leaves more memory free than llamero counts with. It spills models that fit by llamero's count.",
      remedy: "Set both to the same size. LLAMA_ARG_FIT_TARGET is in MiB: 2048 for 2GiB.",
    })]
  })
}
