/**
 * Variables of the environment that Ollama does not read, or cannot read.
 *
 * @since 0.1.0
 */
import { type Check, type Finding, finding } from "../finding.ts"
import type { Observations, ObservedEnvironment } from "../observations.ts"
import * as Variables from "../ollamaVariables.ts"
import { isBelow } from "../ollamaVersion.ts"

interface Obsolete {
  readonly name: string
  readonly cause: string
  readonly remedy: string
}

const reserve = "LLAMA_ARG_FIT_TARGET (in MiB) for Ollama, and LLAMERO_VRAM=on with LLAMERO_VRAM_RESERVE for llamero"

const obsolete: ReadonlyArray<Obsolete> = [
  {
    name: "OLLAMA_MAX_VRAM",
    cause: "Ollama removed it in 2024. It limits nothing.",
    remedy: `Remove it. To keep memory free, set ${reserve}.`,
  },
  {
    name: "PYTORCH_CUDA_ALLOC_CONF",
    cause: "Ollama has no PyTorch: llama.cpp allocates GPU memory by itself.",
    remedy: "Remove it from the environment of Ollama. Nothing takes its place: llama.cpp needs no such setting.",
  },
  {
    name: "OLLAMA_RUNNERS_DIR",
    cause: "Ollama removed it in 2024. Its libraries are beside its program.",
    remedy: "Remove it.",
  },
  {
    name: "OLLAMA_TMPDIR",
    cause: "Ollama removed it in 2024. Its temporary files are where TMPDIR says.",
    remedy: "Remove it. Set TMPDIR if the temporary files need another place.",
  },
]

/** Since 0.30 models in GGUF run in llama-server, which does not know it. The value is bytes. */
const overhead: Obsolete = {
  name: "OLLAMA_GPU_OVERHEAD",
  cause: "Since Ollama 0.30 it reserves nothing for GGUF models: llama-server, which runs them, does not know it.",
  remedy: `Remove it, and set ${reserve}.`,
}

const isSet = ({ values }: ObservedEnvironment, name: string): boolean =>
  (values[name] ?? "").trim().replaceAll(/["']/g, "") !== ""

/** Whether models of an environment run in llama-server, as far as it is known. */
const runsLlamaServer = ({ backends }: Observations, { backends: ids }: ObservedEnvironment): boolean =>
  ids.length === 0 ||
  backends.some(({ backend, version }) => ids.includes(backend.id) && isBelow(version, "0.30.0") !== true)

const whose = ({ from, of }: ObservedEnvironment): string =>
  of === "ollama" ? `set for Ollama (${from})` : `set here (${from})`

const found = (environment: ObservedEnvironment, { cause, name, remedy }: Obsolete): Finding =>
  finding("obsolete-variable", {
    subject: name,
    symptom: `${name}=${environment.values[name]} is ${whose(environment)}`,
    cause,
    remedy,
  })

/** Variables that have no effect, or none any more. */
export const obsoleteVariables: Check = (observations) =>
  observations.environments.flatMap((environment) => {
    const gone = obsolete.filter(({ name }) => isSet(environment, name))
    const reserves = (Variables.gpuOverhead(environment.values).value ?? 0) > 0
    const all = reserves && runsLlamaServer(observations, environment) ? [...gone, overhead] : gone
    return all.map((variable) => found(environment, variable))
  })

/** Values that Ollama cannot read: it then logs a warning and takes the default. */
export const unreadableVariables: Check = ({ environments }) =>
  environments.filter(({ of }) => of === "ollama").flatMap((environment) =>
    Variables.readable.flatMap(({ fallback, name, read, wanted }) => {
      const { text, value } = read(environment.values)
      if (text === "" || value !== undefined) return []
      return [finding("variable-unreadable", {
        subject: name,
        symptom: `${name}=${environment.values[name]} is ${whose(environment)}`,
        cause: `Ollama wants ${wanted}. It ignores the value and uses its default, ${fallback}.`,
        remedy: `Write ${wanted}, and start Ollama again.`,
      })]
    })
  )
