/**
 * How many streams Ollama serves at a time, how many models it holds, and for how long.
 *
 * @since 0.1.0
 */
import { type Check, type Finding, finding, time } from "../finding.ts"
import { answering, environmentOf, type Observations, type ObservedBackend } from "../observations.ts"
import * as Variables from "../ollamaVariables.ts"
import { isBelow } from "../ollamaVersion.ts"

/**
 * `OLLAMA_NUM_PARALLEL`. Ollama's default is 1; before July 2025 it was 4 or 1, by free memory. `undefined` where that
 * is so, where the environment is not known, and where the value cannot be read, which is a finding of its own.
 */
const parallelOf = (
  observations: Observations,
  { backend: { id }, version }: ObservedBackend,
): { readonly value: number; readonly isSet: boolean } | undefined => {
  const environment = environmentOf(observations, id)
  if (environment === undefined) return undefined
  const { text, value } = Variables.parallel(environment.values)
  if (text !== "" && value === undefined) return undefined
  if ((value ?? 0) === 0 && isBelow(version, "0.10.0") === true) return undefined
  return { value: Math.max(1, value ?? 1), isSet: text !== "" }
}

/** The most streams of one model that the running router has learned that a backend serves. */
const learned = ({ router }: Observations, id: string): number | undefined => {
  const models = router?.state?.backends.find((backend) => backend.id === id)?.models ?? []
  const most = Math.max(0, ...models.map(({ streams_max }) => streams_max))
  return most === 0 ? undefined : most
}

const high = (id: string, sent: string, served: number): Finding =>
  finding("parallelism-high", {
    subject: id,
    symptom: `${sent}, and OLLAMA_NUM_PARALLEL is ${served}`,
    cause: "The streams above it wait inside of Ollama. There the router cannot order them, or send them elsewhere.",
    remedy: `Set OLLAMA_NUM_PARALLEL higher, LLAMERO_PARALLELISM=${served}, or LLAMERO_ADAPTIVE_CONCURRENCY=on.`,
  })

const ofBackend = (observations: Observations, observed: ObservedBackend): ReadonlyArray<Finding> => {
  const { backend } = observed
  const served = parallelOf(observations, observed)
  if (served === undefined) return []
  const { adaptive } = observations.settings.values
  const most = learned(observations, backend.id)
  if (most !== undefined && most > served.value && adaptive) {
    return [high(backend.id, `the router sends up to ${most} streams of a model`, served.value)]
  }
  if (!adaptive && backend.parallelism > served.value) {
    return [high(backend.id, `its parallelism is ${backend.parallelism}`, served.value)]
  }
  if (!adaptive && backend.parallelism < served.value) {
    return [finding("parallelism-low", {
      subject: backend.id,
      symptom: `its parallelism is ${backend.parallelism}, and OLLAMA_NUM_PARALLEL is ${served.value}`,
      cause: "With LLAMERO_ADAPTIVE_CONCURRENCY off, the router never sends more. Slots of Ollama stay empty.",
      remedy: `Set LLAMERO_PARALLELISM=${served.value}, or LLAMERO_ADAPTIVE_CONCURRENCY=on.`,
    })]
  }
  if (served.value > 1) return []
  return [finding("parallelism-one", {
    subject: backend.id,
    symptom: served.isSet ? "OLLAMA_NUM_PARALLEL is 1" : "OLLAMA_NUM_PARALLEL is not set, which means 1",
    cause: "Ollama serves one request of a model at a time. A GPU computes several together with little loss for each.",
    remedy: "Set OLLAMA_NUM_PARALLEL=4. Each stream more needs memory for a context of its own.",
  })]
}

/** `OLLAMA_NUM_PARALLEL` against what the router sends. */
export const parallelism: Check = (observations) =>
  answering(observations).flatMap((backend) => ofBackend(observations, backend))

/** Below this, a model is unloaded between two requests of one person. In milliseconds. */
const shortMillis = 60_000

/** `OLLAMA_KEEP_ALIVE`. */
export const keepAlive: Check = ({ environments }) =>
  environments.filter(({ of }) => of === "ollama").flatMap(({ from, values }) => {
    const { value } = Variables.keepAlive(values)
    if (value === undefined || value >= shortMillis) return []
    return [finding("keep-alive-short", {
      subject: "OLLAMA_KEEP_ALIVE",
      symptom: `OLLAMA_KEEP_ALIVE=${values["OLLAMA_KEEP_ALIVE"]} is set for Ollama (${from})`,
      cause: value === 0
        ? "Ollama unloads each model right after its request, and loads it again for the next one."
        : `Ollama unloads a model ${time(value)} after its last request. The next one waits for a load.`,
      remedy: "Remove it, which means 5m, or set OLLAMA_KEEP_ALIVE=30m. With LLAMERO_VRAM=on set -1: llamero unloads.",
    })]
  })

/** `OLLAMA_MAX_LOADED_MODELS` against the models that one backend may have to hold. */
export const maxLoaded: Check = (observations) => {
  const planned = observations.models.filter((model) => model.planned).length
  const backends = answering(observations)
  // With several backends the router divides the models among them.
  const each = Math.ceil(planned / Math.max(1, backends.length))
  return backends.flatMap(({ backend }) => {
    const environment = environmentOf(observations, backend.id)
    const most = environment === undefined ? undefined : Variables.maxLoaded(environment.values).value
    if (most === undefined || most === 0 || most >= each) return []
    return [finding("max-loaded-small", {
      subject: backend.id,
      symptom: `OLLAMA_MAX_LOADED_MODELS is ${most}, and plans load ${planned} models on ${
        backends.length === 1 ? "it" : `${backends.length} backends`
      }`,
      cause: "Ollama unloads a model whenever one more than this number is loaded, whatever memory is free.",
      remedy: `Set OLLAMA_MAX_LOADED_MODELS=${planned} or more: it counts for the whole server.`,
    })]
  })
}
