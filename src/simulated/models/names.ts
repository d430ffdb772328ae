/**
 * Model names as Ollama reads them. It does not use the router's `ModelName`, so that tests compare two independent
 * readers.
 *
 * @since 0.1.0
 */

/**
 * The parts of a name.
 *
 * @category models
 * @since 0.1.0
 */
export interface ParsedName {
  /** Lower case and complete. Spellings of the same model have the same key. */
  readonly key: string
  /** Complete, as spelled: `registry.ollama.ai/library/x:latest`. Some error texts use it. */
  readonly full: string
  /** Without the default host and namespace: `x:latest`. Lists use it. */
  readonly short: string
  /** Whether Ollama passes the request on to ollama.com. */
  readonly cloud: boolean
}

/** Why a text is no name: nothing is there (`blank`), or Ollama's error text. @category models @since 0.1.0 */
export type NotAName = { readonly blank: true } | { readonly blank: false; readonly text: string }

/** Ollama's text for a name that it cannot read. @category constants @since 0.1.0 */
export const invalidName = "invalid model name"

const host = "registry.ollama.ai"

/** What each part may hold: `isValidPart` of Ollama's `types/model/name.go`. */
const parts = {
  host: /^\w[\w.:-]{0,349}$/,
  namespace: /^\w[\w-]{0,79}$/,
  model: /^\w[\w.-]{0,79}$/,
}

/** Ollama's source suffix: the base of the name, and whether it names ollama.com; `undefined` without one. */
const sourceOf = (text: string): { readonly base: string; readonly cloud: boolean } | undefined => {
  const at = text.lastIndexOf(":")
  if (at < 0) return undefined
  const suffix = text.slice(at + 1).trim()
  if (/^(cloud|local)$/i.test(suffix)) return { base: text.slice(0, at), cloud: suffix.toLowerCase() === "cloud" }
  return /^[^/]*-cloud$/i.test(suffix) ? { base: text.slice(0, at + 1) + suffix.slice(0, -6), cloud: true } : undefined
}

/** The text around the last separator. A side that is empty is a missing part, which no valid name has. */
const cut = (text: string, separator: string): readonly [before: string | undefined, after: string] => {
  const at = text.lastIndexOf(separator)
  return at < 0 ? [undefined, text] : [text.slice(0, at) || "!", text.slice(at + 1) || "!"]
}

/** A name without its source suffix. */
const parseBase = (text: string): Omit<ParsedName, "cloud"> | undefined => {
  const [named, tag] = text.lastIndexOf(":") > text.lastIndexOf("/") ? cut(text, ":") : [text, "latest"]
  const [rest, model] = cut(named ?? "!", "/")
  const [before, namespace] = rest === undefined ? [undefined, "library"] : cut(rest, "/")
  const where = before === undefined ? host : before.replace(/^.*?:\/\//, "")
  if (!parts.host.test(where) || !parts.namespace.test(namespace)) return undefined
  if (!parts.model.test(model) || !parts.model.test(tag)) return undefined
  const prefix = where.toLowerCase() !== host
    ? `${where}/${namespace}/`
    : namespace.toLowerCase() !== "library"
    ? `${namespace}/`
    : ""
  const full = `${where}/${namespace}/${model}:${tag}`
  return { key: full.toLowerCase(), full, short: `${prefix}${model}:${tag}` }
}

/**
 * Reads a name with its source suffix (`:cloud`, `-cloud` in the tag, `:local`).
 *
 * @category decoding
 * @since 0.1.0
 */
export const readName = (spelled: string): ParsedName | NotAName => {
  const text = spelled.trim()
  if (text === "") return { blank: true }
  const source = sourceOf(text)
  if (source !== undefined && sourceOf(source.base) !== undefined) {
    return { blank: false, text: `use either :local or :cloud, not both: ${JSON.stringify(text)}` }
  }
  const name = parseBase(source?.base ?? text)
  return name === undefined ? { blank: false, text: invalidName } : { ...name, cloud: source?.cloud ?? false }
}

/**
 * Reads the name of a model on disk, which has no source suffix: stubs of cloud models are called `x:cloud` there.
 * `undefined` for a text that is no name.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parseName = (spelled: string): ParsedName | undefined => {
  const name = parseBase(spelled)
  return name === undefined ? undefined : { ...name, cloud: false }
}
