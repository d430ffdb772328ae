/**
 * The models that somebody wants are there, and the same everywhere.
 *
 * @since 0.1.0
 */
import * as ModelName from "../../../services/ModelName.ts"
import { type Check, type Finding, finding, names } from "../finding.ts"
import { answering, type Observations, type ObservedBackend, type WantedModel } from "../observations.ts"

type Listing = ObservedBackend & { readonly tags: NonNullable<ObservedBackend["tags"]> }

const listing = (observations: Observations): ReadonlyArray<Listing> =>
  answering(observations).filter((backend): backend is Listing => backend.tags !== undefined)

const rowOf = ({ tags }: Listing, key: string) => tags.find(({ model }) => ModelName.canonical(model) === key)

const pull = (lacking: ReadonlyArray<Listing>, name: string): string =>
  `Run ${names(lacking.map(({ backend }) => `\`OLLAMA_HOST=${backend.url} ollama pull ${name}\``))}.`

const wantedBy = ({ planned, required }: WantedModel): string =>
  planned ? "A plan loads it" : required ? "It is required" : "It is asked for"

const presence = (observations: Observations, wanted: WantedModel): ReadonlyArray<Finding> => {
  const all = listing(observations)
  const lacking = all.filter((backend) => rowOf(backend, wanted.key) === undefined)
  // A backend that does not answer may have it.
  if (all.length === 0 || lacking.length === 0) return []
  if (lacking.length < all.length) {
    return [finding("model-not-everywhere", {
      subject: wanted.name,
      symptom: `${names(lacking.map(({ backend }) => backend.id))} ${lacking.length === 1 ? "does" : "do"} not have it`,
      cause: `${wantedBy(wanted)}, and only ${all.length - lacking.length} of ${all.length} backends can serve it.`,
      remedy: pull(lacking, wanted.name),
    })]
  }
  if (all.length < observations.backends.length) return []
  return [finding("model-missing", {
    subject: wanted.name,
    symptom: "no backend has it",
    cause: `${wantedBy(wanted)}. Ollama does not pull a model because of a request: such requests get 404.`,
    remedy: pull(all, wanted.name),
  })]
}

/** Models that are required, planned, or named to this command. */
export const presentModels: Check = (observations) =>
  observations.models.filter(({ key }) => !ModelName.parse(key).cloud).flatMap((wanted) =>
    presence(observations, wanted)
  )

/** Each name is the same model on all backends that have it. */
export const digests: Check = (observations) => {
  const found = new Map<string, Map<string, Array<string>>>()
  for (const { backend, tags } of listing(observations)) {
    for (const { digest, model, remote_host } of tags) {
      if (digest === "" || remote_host !== undefined) continue
      const key = ModelName.canonical(model)
      const owners = found.get(key) ?? new Map<string, Array<string>>()
      found.set(key, owners)
      owners.set(digest, [...owners.get(digest) ?? [], backend.id])
    }
  }
  return Array.from(found).filter(([, owners]) => owners.size > 1).map(([key, owners]) =>
    finding("digests-differ", {
      subject: key,
      symptom: Array.from(owners, ([digest, ids]) => `${names(ids)}: ${digest.slice(0, 12)}`).join("; "),
      cause: "The name was pulled at different times, or made from different files. Answers depend on the backend.",
      remedy: `Pull ${key} again on the backends with the old one. Compare with \`ollama list\`.`,
    })
  )
}
