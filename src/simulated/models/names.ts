/**
 * Model names as Ollama reads them. Written apart from `ModelName`, which the router uses, so that each checks the other.
 *
 * @since 0.1.0
 */

/**
 * A name, taken apart the way Ollama does.
 *
 * @category models
 * @since 0.1.0
 */
export interface ParsedName {
  /** Lower case, complete: what finds a model whatever the spelling. */
  readonly key: string
  /** Complete, as spelled: `registry.ollama.ai/library/x:latest`, in some error texts. */
  readonly full: string
  /** Without the default host and namespace: `x:latest`, in lists. */
  readonly short: string
  /** Proxied to ollama.com. */
  readonly cloud: boolean
}

const host = "registry.ollama.ai"

/**
 * Takes a name apart; `undefined` when Ollama would not find any model in it.
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
