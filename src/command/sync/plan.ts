/**
 * Which models are where they should be, and what has to be pulled.
 *
 * @since 0.1.0
 */
import type { Backend } from "../../services/Fleet.ts"
import * as ModelName from "../../services/ModelName.ts"

/** A model that a backend is to have. @category models @since 0.1.0 */
export interface Wanted {
  readonly backend: Backend
  /** The canonical name. */
  readonly model: string
  /** The name as it was written, which is sent to Ollama. */
  readonly name: string
}

/**
 * What the backends have on disk: digests by canonical name, or why a backend could not be asked; by id.
 *
 * @category models
 * @since 0.1.0
 */
export type Survey = ReadonlyMap<string, ReadonlyMap<string, string> | string>

/** @category models @since 0.1.0 */
export interface Place {
  readonly backend: string
  readonly model: string
  /** `unknown`: the backend did not say what it has. */
  readonly state: "present" | "missing" | "unknown"
  /** Of the manifest; `null` where it is not there. */
  readonly digest: string | null
  readonly reason: string
}

/** A model whose name stands for different contents. @category models @since 0.1.0 */
export interface Difference {
  readonly model: string
  readonly versions: ReadonlyArray<{ readonly digest: string; readonly backends: ReadonlyArray<string> }>
}

/** @category models @since 0.1.0 */
export interface PlannedPull {
  readonly backend: string
  readonly model: string
  /** The name to send to Ollama. */
  readonly name: string
  /** The host that it comes from. */
  readonly registry: string
  readonly why: "missing" | "differs"
}

/** @category models @since 0.1.0 */
export interface Plan {
  readonly places: ReadonlyArray<Place>
  readonly differences: ReadonlyArray<Difference>
  readonly pulls: ReadonlyArray<PlannedPull>
}

/**
 * What each backend is to have: `models` of the backend, and `more` on every one. A model that is named twice, in any
 * spelling, is wanted once.
 *
 * @category constructors
 * @since 0.1.0
 */
export const wantedOf = (backends: ReadonlyArray<Backend>, more: ReadonlyArray<string>): ReadonlyArray<Wanted> =>
  backends.flatMap((backend) => {
    const byKey = new Map<string, Wanted>()
    for (const name of [...(backend.models ?? []), ...more]) {
      const model = ModelName.canonical(name)
      // Ollama takes a scheme for part of the name of a registry without TLS.
      const sent = name.trim().replace(/^https?:\/\//i, "")
      if (!byKey.has(model)) byKey.set(model, { backend, model, name: sent })
    }
    return Array.from(byKey.values())
  })

/** The host that Ollama pulls a model from, by its canonical name. @category accessors @since 0.1.0 */
export const registryOf = (model: string): string => {
  const parts = model.split("/")
  return parts.length < 3 ? "registry.ollama.ai" : parts.slice(0, -2).join("/")
}

const placeOf = (survey: Survey) => ({ backend: { id }, model }: Wanted): Place => {
  const found = survey.get(id)
  if (found === undefined || typeof found === "string") {
    return { backend: id, model, state: "unknown", digest: null, reason: found ?? "it was not asked" }
  }
  const digest = found.get(model)
  return digest === undefined
    ? { backend: id, model, state: "missing", digest: null, reason: "" }
    : { backend: id, model, state: "present", digest, reason: "" }
}

/** The wanted models that have several digests, over all backends that have them. */
const differencesOf = (models: ReadonlySet<string>, survey: Survey): ReadonlyArray<Difference> =>
  Array.from(models).flatMap((model) => {
    const versions = new Map<string, Array<string>>()
    for (const [backend, found] of survey) {
      const digest = typeof found === "string" ? undefined : found.get(model)
      if (digest !== undefined) versions.set(digest, [...versions.get(digest) ?? [], backend])
    }
    if (versions.size < 2) return []
    return [{ model, versions: Array.from(versions, ([digest, backends]) => ({ digest, backends })) }]
  })

/**
 * The plan. With `repair`, a model with several digests is pulled on every backend that has it: the registry says which
 * content is right, and Ollama pulls only what is different.
 *
 * @category constructors
 * @since 0.1.0
 */
export const plan = (wanted: ReadonlyArray<Wanted>, survey: Survey, repair: boolean): Plan => {
  const places = wanted.map(placeOf(survey))
  const names = new Map(wanted.map(({ model, name }) => [model, name]))
  const differences = differencesOf(new Set(names.keys()), survey)
  const pull = (why: PlannedPull["why"]) => (backend: string, model: string): PlannedPull => ({
    backend,
    model,
    name: names.get(model)!,
    registry: registryOf(model),
    why,
  })
  const missing = places.filter(({ state }) => state === "missing")
    .map(({ backend, model }) => pull("missing")(backend, model))
  const different = repair
    ? differences.flatMap(({ model, versions }) =>
      versions.flatMap(({ backends }) => backends.map((backend) => pull("differs")(backend, model)))
    )
    : []
  return { places, differences, pulls: [...missing, ...different] }
}

/** Whether every wanted model is there, and has one content everywhere. @category accessors @since 0.1.0 */
export const isGood = ({ differences, places }: Plan): boolean =>
  differences.length === 0 && places.every(({ state }) => state === "present")
