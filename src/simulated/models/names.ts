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

const host = "registry.ollama.ai"

/**
 * Reads a name; `undefined` where Ollama would find no model under it.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parseName = (spelled: string): ParsedName | undefined => {
  let text = spelled.trim().replace(/^https?:\/\//i, "")
  const cloud = /[:-]cloud$/i.test(text)
  text = text.replace(/:local$/i, "")
  const parts = text.split("/")
  if (parts.length > 3 || !parts.every((part) => /^[\w.:-]+$/.test(part))) return undefined
  const last = parts[parts.length - 1] ?? ""
  const colon = last.indexOf(":")
  const model = colon < 0 ? last : last.slice(0, colon)
  const tag = colon < 0 ? "latest" : last.slice(colon + 1)
  if (model === "" || tag === "" || tag.includes(":")) return undefined
  const namespace = parts.length > 1 ? parts[parts.length - 2] ?? "" : "library"
  const where = parts.length === 3 ? parts[0] ?? host : host
  const prefix = where.toLowerCase() !== host
    ? `${where}/${namespace}/`
    : namespace.toLowerCase() !== "library"
    ? `${namespace}/`
    : ""
  const full = `${where}/${namespace}/${model}:${tag}`
  return { key: full.toLowerCase(), full, short: `${prefix}${model}:${tag}`, cloud }
}
