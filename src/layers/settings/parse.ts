/**
 * Readers of the values of environment variables. Each returns `undefined` for a text that it cannot read.
 *
 * @since 0.1.0
 */
import { ByteSize, Option } from "effect"

/** A whole number in decimal digits: `1`, `12000`; not `1.5`, `0x10` or `1e3`. @category parsing @since 0.1.0 */
export const whole = (minimum: number, maximum = Number.MAX_SAFE_INTEGER) => (text: string): number | undefined => {
  if (!/^\d+$/.test(text)) return undefined
  const value = Number(text)
  return value >= minimum && value <= maximum ? value : undefined
}

/** A number of at least 0 in decimal digits: `0.2`, `10`. @category parsing @since 0.1.0 */
export const decimal = (text: string): number | undefined => /^\d+(\.\d+)?$/.test(text) ? Number(text) : undefined

/** A size with a unit, or a number of bytes: `64MiB`, `256 MB`, `1000`. @category parsing @since 0.1.0 */
export const bytes = (text: string): number | undefined => {
  const size = ByteSize.fromString(/^\d+$/.test(text) ? `${text} B` : text)
  return Option.getOrUndefined(Option.flatMap(size, ByteSize.toNumber))
}

/** The parts between commas; empty parts are left out. @category parsing @since 0.1.0 */
export const list = (text: string): ReadonlyArray<string> =>
  text.split(",").map((part) => part.trim()).filter((part) => part !== "")

/** Names with numbers above 0, each name once: `team-a=3,team-b=0.5`. @category parsing @since 0.1.0 */
export const shares = (text: string): Readonly<Record<string, number>> | undefined => {
  const pairs = list(text).map((part) => /^(.+?)\s*=\s*(\d+(?:\.\d+)?)$/.exec(part))
  const found = pairs.map((pair) => [pair?.[1] ?? "", Number(pair?.[2])] as const)
  const isRepeated = new Set(found.map(([name]) => name)).size < found.length
  return !isRepeated && found.every(([, share]) => share > 0) ? Object.fromEntries(found) : undefined
}

const authority = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:/?#[\]@]*))(?::(\d+))?$/
const bareIpv6 = /^[0-9a-fA-F]*(?::[0-9a-fA-F]*){2,7}$/
const everywhere: Readonly<Record<string, string>> = { "": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1" }

/**
 * The URL of a backend, from any spelling that Ollama's own clients accept in `OLLAMA_HOST`.
 *
 * **Details**
 *
 * `host`, `host:port`, `:port`, `http://host`, `https://host/prefix`, `[::1]:11434`, with or without quotes. Without a
 * scheme the port is 11434, and with one it is the scheme's own port, as in Ollama. An address that means "all
 * interfaces" can be listened on but not called, so it becomes the loopback address. A user and a password before the
 * host stay in the URL; characters of them that have a meaning in URLs must be percent-encoded. A path with an `@` is
 * none: it may be a password in a URL that lacks its colon, as in `http//me:password@host`.
 *
 * @category parsing
 * @since 0.1.0
 */
export const ollamaUrl = (text: string): string | undefined => {
  const bare = text.trim().replace(/^["']+|["']+$/g, "")
  const [, scheme, rest = ""] = /^(?:(\w+):\/\/)?(.*)$/.exec(bare) ?? []
  if (bare === "" || rest === "" || (scheme !== undefined && scheme !== "http" && scheme !== "https")) return undefined
  const slash = rest.indexOf("/")
  const path = slash < 0 ? "" : rest.slice(slash).replace(/\/+$/, "")
  if (path.includes("@")) return undefined
  const whole = slash < 0 ? rest : rest.slice(0, slash)
  const at = whole.lastIndexOf("@") + 1
  const [user, place] = [whole.slice(0, at), whole.slice(at)]
  const [, ipv6, name = "", digits] = authority.exec(bareIpv6.test(place) ? `[${place}]` : place) ?? [undefined]
  if (ipv6 === undefined && name === "" && digits === undefined) return undefined
  const host = everywhere[ipv6 ?? name] ?? ipv6 ?? name
  const port = digits ?? (scheme === "http" ? "80" : scheme === "https" ? "443" : "11434")
  const url = `${scheme ?? "http"}://${host.includes(":") ? `[${host}]` : host}:${port}${path}`
  if (!URL.canParse(url) || Number(port) < 1) return undefined
  const { host: authorityOf, protocol } = new URL(url)
  const found = `${protocol}//${user}${authorityOf}${path}`
  return URL.canParse(found) ? found : undefined
}

/** `on` or `off`, or one of their common synonyms. @category parsing @since 0.1.0 */
export const onOff = (text: string): boolean | undefined => {
  if (/^(on|true|yes|1)$/i.test(text)) return true
  return /^(off|false|no|0)$/i.test(text) ? false : undefined
}

/** Names with values, each name once: `name=value,other=value`. @category parsing @since 0.1.0 */
export const pairs = (text: string): Readonly<Record<string, string>> | undefined => {
  const parts = list(text).map((part) => /^([^=\s]+)\s*=\s*(\S+)$/.exec(part))
  const found = new Map(parts.flatMap((part) => part === null ? [] : [[part[1]!, part[2]!]]))
  return found.size === parts.length ? Object.fromEntries(found) : undefined
}
