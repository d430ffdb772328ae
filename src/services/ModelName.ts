/**
 * One canonical name for all spellings of a model's name that Ollama accepts.
 *
 * @since 0.1.0
 */

/**
 * A parsed name.
 *
 * @category models
 * @since 0.1.0
 */
export interface ModelName {
  /**
   * The canonical name, in lower case. Host and namespace are left out where they are Ollama's defaults; the tag is
   * always there.
   */
  readonly key: string
  /** Whether Ollama forwards the model to ollama.com: its name ends in `:cloud` or `-cloud`. */
  readonly cloud: boolean
}

const defaultHost = "registry.ollama.ai"
const defaultNamespace = "library"

/**
 * The canonical form of a model's name.
 *
 * **Details**
 *
 * `x`, `X`, `x:latest`, `library/x`, `registry.ollama.ai/library/x`, `https://registry.ollama.ai/library/x`, ` x `,
 * `x:local` and `x:latest:local` are all `x:latest` (measured on Ollama 0.33). Upper and lower case are equal.
 * `:local` names a source and is dropped. `:cloud` and `-cloud` are kept, because they name another model.
 *
 * @category constructors
 * @since 0.1.0
 */
export const parse = (name: string): ModelName => {
  let rest = name.trim().toLowerCase()
  const scheme = rest.indexOf("://")
  if (scheme >= 0) rest = rest.slice(scheme + 3)
  if (rest.endsWith(":local")) rest = rest.slice(0, -":local".length)
  const parts = rest.split("/")
  let last = parts[parts.length - 1] ?? ""
  if (!last.includes(":")) last += ":latest"
  const [host, namespace] = parts.length >= 3
    ? [parts.slice(0, -2).join("/"), parts[parts.length - 2]]
    : [defaultHost, parts.length === 2 ? parts[0] : defaultNamespace]
  const key = host !== defaultHost
    ? `${host}/${namespace}/${last}`
    : namespace !== defaultNamespace
    ? `${namespace}/${last}`
    : last
  return { key, cloud: last.endsWith(":cloud") || last.endsWith("-cloud") }
}

/** The canonical key alone, as in `parse`. @category constructors @since 0.1.0 */
export const canonical = (name: string): string => parse(name).key

/** The text after the last colon, if it names a source: `cloud`, `local`, or a tag that ends in `-cloud`. */
const source = /:\s*(cloud|local|([^/:]*)-cloud)\s*$/i

/** A name without its source; `undefined` without one. */
const withoutSource = (name: string): string | undefined => {
  const found = source.exec(name)
  if (found === null) return undefined
  const tag = found[2]
  return name.slice(0, found.index) + (tag === undefined ? "" : `:${tag}`)
}

/** `host/namespace/model:tag`, with what each part may hold; 80 characters each, 350 for the host. */
const wellFormed = /^(?:(?:(?:.*?:\/\/)?\w[\w.:-]{0,349}\/)?\w[\w-]{0,79}\/)?\w[\w.-]{0,79}(?::\w[\w.-]{0,79})?$/

/**
 * Why Ollama cannot read a name, in its own words; `undefined` for a name that some model can have. Blank text is
 * `model is required`.
 *
 * **Details**
 *
 * The rules are those of `types/model/name.go` and `internal/modelref` of Ollama 0.33. Ollama answers such a name with
 * 400, before it looks for the model.
 *
 * @category validation
 * @since 0.1.0
 */
export const problem = (name: string): string | undefined => {
  const text = name.trim()
  if (text === "") return "model is required"
  const base = withoutSource(text)
  if (base !== undefined && withoutSource(base) !== undefined) {
    return `use either :local or :cloud, not both: ${JSON.stringify(text)}`
  }
  return wellFormed.test(base ?? text) ? undefined : "invalid model name"
}
