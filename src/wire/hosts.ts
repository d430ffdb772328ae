/**
 * Which `Host` names a server accepts. Without this rule a web page could let its own name resolve to 127.0.0.1, or to
 * an address in a private network, and then call the server as its own origin (DNS rebinding). Ollama has the rule, so
 * a router in front of it needs it too. No library has Ollama's list of names.
 *
 * @since 0.1.0
 */

const names = /^(localhost|.*\.(localhost|local|internal)|)$/

const octet = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
const ipv4 = new RegExp(`^${octet}(?:\\.${octet}){3}$`)
/** Loopback, private networks and the unspecified address. */
const localIpv4 = /^(127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)|^0\.0\.0\.0$/

/** The same of IPv6: `::1`, `::` and `fc00::/7`. */
const localIpv6 = /^(::1?|f[cd][\da-f]{2}:.*)$/

/** An IPv6 address in its shortest form, as the URL standard writes it; `undefined` for any other text. */
const ipv6 = (text: string): string | undefined => {
  const url = `http://[${text}]`
  return /^[\da-f]*:[\da-f:.]*$/.test(text) && URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : undefined
}

/** The four numbers at the end of an IPv4 address that is written as IPv6 (`::ffff:7f00:1`). */
const mapped = (short: string): string | undefined => {
  const [, high, low] = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(short) ?? []
  if (high === undefined || low === undefined) return undefined
  const [a, b] = [parseInt(high, 16), parseInt(low, 16)]
  return [a >> 8, a & 255, b >> 8, b & 255].join(".")
}

/** The name or address in a `Host` header, without port and brackets, in lower case. */
const nameIn = (host: string): string => {
  const name = host.replace(/:\d*$/, "")
  // An IPv6 address without brackets ends in what looks like a port.
  const whole = host.includes("]") || name.indexOf(":") < 0 ? name : host
  return whole.replace(/^\[(.*)\]$/, "$1").toLowerCase()
}

/**
 * Whether a `Host` header names this machine or its network, by Ollama's own list (`allowedHost` in its
 * `server/routes.go`): `localhost`, every name under `.localhost`, `.local` and `.internal`, loopback and private
 * addresses, `0.0.0.0` and `::`, and no name at all. The machine's own name and addresses are not known here.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isLocal = (host: string): boolean => {
  const name = nameIn(host)
  if (names.test(name)) return true
  if (ipv4.test(name)) return localIpv4.test(name)
  const short = ipv6(name)
  if (short === undefined) return false
  const plain = mapped(short)
  return plain === undefined ? localIpv6.test(short) : localIpv4.test(plain)
}

/**
 * Whether a `Host` header names loopback, as only a client on this machine writes it: `localhost`, every name under
 * `.localhost`, a loopback address, `0.0.0.0`, `::`, and no name at all. A name under `.local` or `.internal` is none:
 * a web page of the local network can have it. Nor is another address of this machine: a proxy can pass it on.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isOnLoopback = (host: string): boolean => {
  const name = nameIn(host)
  if (/^(localhost|.*\.localhost|)$/.test(name)) return true
  const short = ipv6(name)
  const plain = short === undefined ? name : mapped(short)
  if (plain === undefined) return short === "::1" || short === "::"
  return ipv4.test(plain) && /^(127\.|0\.0\.0\.0$)/.test(plain)
}

/**
 * Whether an address is on loopback. Ollama's rule applies to servers that listen there.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isLoopback = (address: string): boolean => /^(localhost|(::ffff:)?127\..*|::1|\[::1\])$/.test(address)

/** What a rule accepts besides the local names. @category models @since 0.1.0 */
export interface Options {
  /** Names in any case; `*` for all. Defaults to none. */
  readonly names?: ReadonlyArray<string> | undefined
  /** Whether a name or an address, in lower case, is the machine's own. Asked only where nothing else lets it in. */
  readonly isOwn?: ((name: string) => boolean) | undefined
}

/**
 * A rule that accepts local names, those in `names`, and the machine's own. A request without `Host` passes.
 *
 * The last accepted name is remembered, so that most requests cost one comparison.
 *
 * @category constructors
 * @since 0.1.0
 */
export const local = (options: Options = {}): (host: string | undefined) => boolean => {
  const { isOwn = () => false, names = [] } = options
  if (names.includes("*")) return () => true
  const known = new Set(names.map((name) => nameIn(name)))
  let last = ""
  return (host) => {
    if (host === undefined || host === last) return true
    if (!isLocal(host)) {
      const name = nameIn(host)
      if (!known.has(name) && !isOwn(name)) return false
    }
    last = host
    return true
  }
}

/**
 * The rule for a server that listens on an address: `local` on loopback, and all names elsewhere.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (address: string, options: Options = {}): (host: string | undefined) => boolean =>
  isLoopback(address) ? local(options) : () => true
