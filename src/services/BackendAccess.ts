/**
 * What a backend behind authentication or a private certificate asks for: headers, and who signed its certificate.
 *
 * @since 0.1.0
 */
import { Redacted } from "effect"

/** A value that must not be printed; a plain text is taken as one. @category models @since 0.1.0 */
export type Secret = string | Redacted.Redacted<string>

/**
 * The headers and the certificate authorities of one backend. It is always in a `Redacted`, so that it shows as
 * `<redacted>` in logs and in JSON.
 *
 * @category models
 * @since 0.1.0
 */
export interface BackendAccess {
  /**
   * Headers to send with each call: names in lower case and values, in turn. Read it for each call: the values change
   * when a token does.
   */
  readonly headers: () => ReadonlyArray<string>
  /** Certificates in PEM that the backend's own may be signed by, besides the usual ones. */
  readonly ca: () => string | undefined
  /** Takes the values of another one, for all who hold this one. */
  readonly replace: (other: BackendAccess) => void
}

/**
 * What a deployer writes. Each value is a text or a `Redacted`.
 *
 * @category models
 * @since 0.1.0
 */
export interface AccessInput {
  /** Sent as `Authorization: Bearer TOKEN`. */
  readonly token?: Secret | undefined
  /** Headers by name. They replace headers of the same name that a client sent. */
  readonly headers?: Readonly<Record<string, Secret>> | undefined
  /** Certificates in PEM that the backend's own may be signed by, besides the usual ones. */
  readonly ca?: string | undefined
}

/** They frame the call, so the transport writes them. */
const framing = /^(connection|content-length|expect|host|keep-alive|te|trailer|transfer-encoding|upgrade)$/

const plain = (secret: Secret): string => typeof secret === "string" ? secret : Redacted.value(secret)

/** Percent escapes stand for bytes, in any encoding. One that is none is left as it is. */
const decoded = (part: string): string => {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

const base64 = (text: string): string => {
  let bytes = ""
  for (const byte of new TextEncoder().encode(text)) bytes += String.fromCharCode(byte)
  return btoa(bytes)
}

/** Names and values. A user in the URL, a token and headers come together. */
const pairsOf = (url: URL, { headers = {}, token }: AccessInput): ReadonlyArray<readonly [string, string]> => {
  const pairs = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), plain(value)] as const)
  if (token !== undefined) return [["authorization", `Bearer ${plain(token)}`], ...pairs]
  if (url.username === "" && url.password === "") return pairs
  return [["authorization", `Basic ${base64(`${decoded(url.username)}:${decoded(url.password)}`)}`], ...pairs]
}

/** Visible characters and blanks of Latin-1, and none at the ends (RFC 9110, 5.5). */
const isValue = (value: string): boolean => /^[!-~\x80-\xff]([ \t!-~\x80-\xff]*[!-~\x80-\xff])?$/.test(value)

/** Why headers cannot be sent, without a value: that is a secret. */
const wrongHeader = (url: URL, input: AccessInput): string | undefined => {
  if (input.token !== undefined && url.username + url.password !== "") {
    return "it has a token and a user in its URL, and only one of them can be sent"
  }
  const seen = new Set<string>()
  for (const [name, value] of pairsOf(url, input)) {
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) return `${JSON.stringify(name)} is no name of a header`
    if (framing.test(name)) return `the header ${name} cannot be set`
    if (seen.has(name)) return `the header ${name} is set twice`
    if (!isValue(value)) return `the value of the header ${name} is empty or has forbidden characters`
    seen.add(name)
  }
  return undefined
}

/**
 * What a backend asks for, from its URL and from what was written beside it; `undefined` where it asks for nothing.
 *
 * **Gotchas**
 *
 * Throws a `RangeError` for a header that cannot be sent. The error names the backend by its `id`, and does not contain
 * the value.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  id: string,
  url: URL,
  input: AccessInput,
): Redacted.Redacted<BackendAccess> | undefined => {
  const wrong = wrongHeader(url, input)
  const own = wrong === undefined ? pairsOf(url, input) : []
  const ca = input.ca === "" ? undefined : input.ca
  const noPem = ca !== undefined && !ca.includes("-----BEGIN CERTIFICATE-----")
  const why = wrong ?? (noPem ? "ca is no certificate in PEM" : undefined)
  if (why !== undefined) throw new RangeError(`the backend ${JSON.stringify(id)}: ${why}`)
  return own.length === 0 && ca === undefined ? undefined : Redacted.make(held(own.flat(), ca), { label: "access" })
}

const held = (headers: ReadonlyArray<string>, ca: string | undefined): BackendAccess => ({
  headers: () => headers,
  ca: () => ca,
  replace: (other) => {
    headers = other.headers()
    ca = other.ca()
  },
})

/**
 * Whether two backends ask for the same.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isSame = (
  one: Redacted.Redacted<BackendAccess> | undefined,
  other: Redacted.Redacted<BackendAccess> | undefined,
): boolean => {
  if (one === undefined || other === undefined) return one === other
  const [a, b] = [Redacted.value(one), Redacted.value(other)]
  return a.ca() === b.ca() && a.headers().join("\n") === b.headers().join("\n")
}

/**
 * The headers of a call to a backend: those of the client, except where the backend asks for its own.
 *
 * @category headers
 * @since 0.1.0
 */
export const withAccess = (
  headers: ReadonlyArray<string>,
  access: Redacted.Redacted<BackendAccess> | undefined,
): ReadonlyArray<string> => {
  if (access === undefined) return headers
  const own = Redacted.value(access).headers()
  const sent: Array<string> = []
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i]!.toLowerCase()
    let replaced = false
    for (let at = 0; at < own.length && !replaced; at += 2) replaced = own[at] === name
    if (!replaced) sent.push(headers[i]!, headers[i + 1]!)
  }
  sent.push(...own)
  return sent
}

/** `//user:password`, which has no `@`. */
const noPort = /(\/\/[^/?#,\s[\]:]*:)(?!\d*(?:[/?#,\s]|$))[^/?#,\s]*/g

/**
 * A text without the users and passwords of the URLs in it, for messages about a setting. Everything up to the last `@`
 * goes: a text that cannot be read may have its password anywhere. What stands behind a colon in place of a port goes,
 * too.
 *
 * @category printing
 * @since 0.1.0
 */
export const withoutPasswords = (text: string): string => {
  const at = text.lastIndexOf("@")
  return (at < 0 ? text : `…${text.slice(at)}`).replace(noPort, "$1…")
}
