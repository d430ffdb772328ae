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
