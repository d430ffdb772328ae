/**
 * Decides which models may be pulled.
 *
 * @since 0.1.0
 */
import * as ModelName from "../../../services/ModelName.ts"

/**
 * Host, namespace, name and tag. It leaves out characters that some readers of names take for part of a host and others
 * do not.
 */
const wellFormed = /^([\w.:-]+\/){0,2}[\w.:-]+$/

/**
 * The name to send to a backend, without `https://`; `undefined` where no model can have that name.
 *
 * @category decoding
 * @since 0.1.0
 */
export const nameOf = (spelled: string): string | undefined => {
  const name = spelled.trim().replace(/^https?:\/\//i, "")
  return wellFormed.test(name) ? name : undefined
}

/** Whether the text can stand in the list: a name, or a prefix with a `*`. @category decoding @since 0.1.0 */
export const isPattern = (text: string): boolean => text === "*" || nameOf(text.replace(/\*$/, "x")) !== undefined

const beginning = (text: string): string =>
  text.toLowerCase().replace(/^https?:\/\//, "").replace(/^registry\.ollama\.ai\//, "").replace(/^library\//, "")

type Matcher = (name: ModelName.ModelName) => boolean

const matcher = (entry: string): Matcher => {
  if (!isPattern(entry)) {
    throw new RangeError(
      `PullRoutes.layer: allowed must hold names, or beginnings of names with a * behind, got ${entry}`,
    )
  }
  if (!entry.endsWith("*")) {
    const exact = ModelName.canonical(entry)
    return ({ key }) => key === exact
  }
  const prefix = beginning(entry.slice(0, -1))
  // Otherwise `llama*` would allow `llama.example.com/some/thing`, which is a server of the client's own choice.
  const isWhole = prefix.endsWith("/")
  return ({ cloud, key }) => !cloud && key.startsWith(prefix) && (isWhole || !key.slice(prefix.length).includes("/"))
}

/**
 * Whether a name, in any spelling, is on the list.
 *
 * **Details**
 *
 * An entry is a name (`llama3.1:8b`; `mistral` is `mistral:latest`) or a prefix with a `*`. The `*` stands for anything
 * without a `/`: `qwen3*`, and `*` alone for all of Ollama's own library. After a `/` it stands for everything:
 * `someone/*`, `hf.co/*`. It never stands for a cloud model, whose prompts would leave the fleet: cloud models must be
 * named.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (list: ReadonlyArray<string>): (name: string) => boolean => {
  const matchers = list.map(matcher)
  return (name) => {
    const parsed = ModelName.parse(name)
    return matchers.some((matches) => matches(parsed))
  }
}
