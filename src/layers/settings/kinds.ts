/**
 * The kinds of values that settings have: numbers, times, sizes, addresses, names.
 *
 * @since 0.1.0
 */
import * as GoDuration from "../../wire/goDuration.ts"
import * as Natural from "./natural.ts"
import * as Parse from "./parse.ts"
import type { Kind } from "./variable.ts"

/** What a value of a list must look like, from the words for the whole list. */
const each = (wanted: string): string => wanted.replace(/,? with commas between/, "")

/** @internal */
export const atLeast = (minimum: number): Kind<number> => {
  const wanted = `a whole number of at least ${minimum}`
  return { wanted, parse: Parse.whole(minimum), natural: Natural.whole(wanted, minimum) }
}

/** @internal */
export const between = (minimum: number, maximum: number): Kind<number> => {
  const wanted = `a whole number from ${minimum} to ${maximum}`
  return { wanted, parse: Parse.whole(minimum, maximum), natural: Natural.whole(wanted, minimum, maximum) }
}

/** A number of at least 0, not necessarily whole. @internal */
export const ratio: Kind<number> = {
  wanted: "a number of at least 0",
  parse: Parse.decimal,
  natural: Natural.decimal("a number of at least 0"),
}

/** @internal */
export const onOff: Kind<boolean> = { wanted: "on or off", parse: Parse.onOff, natural: Natural.onOff }

/** A text. `schema` says more about it than that it is one. @internal */
export const text = <A>(
  wanted: string,
  parse: (text: string) => A | undefined,
  schema?: Natural.JsonSchema,
): Kind<A> => ({ wanted, parse, natural: Natural.text(wanted, parse, schema) })

const durationPattern = "(\\d+(\\.\\d*)?\\s*[A-Za-zµμ]+\\s*)+"

/** Milliseconds. @internal */
export const duration: Kind<number> = text(
  "a duration with its unit, such as 500ms, 30s or 5m",
  GoDuration.millis,
  { pattern: `^${durationPattern}$` },
)

/** Milliseconds, or `Infinity` for "off". @internal */
export const optionalDuration: Kind<number> = text(
  `${duration.wanted}, or off`,
  (text) => text.toLowerCase() === "off" ? Infinity : GoDuration.millis(text),
  { pattern: `^(off|${durationPattern})$` },
)

const sizeWanted = "a number of bytes, such as 67108864, 64MiB or 256MB"

/** Bytes. @internal */
export const size: Kind<number> = { wanted: sizeWanted, parse: Parse.bytes, natural: Natural.size(sizeWanted) }

const portWanted = "a port from 0 to 65535 (0: any free one)"

/** @internal */
export const port: Kind<number> = {
  wanted: portWanted,
  parse: Parse.whole(0, 65_535),
  natural: Natural.whole(portWanted, 0, 65_535),
}

/** @internal */
export const address: Kind<string> = text(
  "an address to listen on, without a port, such as 127.0.0.1, 0.0.0.0 or ::",
  (text) => /^[\w.%-]+$/.test(text) || /^[\da-f.]*(:[\da-f.]*){2,7}(%\w+)?$/i.test(text) ? text : undefined,
)

/** The URL of one Ollama server, from any spelling that `OLLAMA_HOST` takes. @internal */
export const ollamaHost: Kind<string> = text(
  "the address of one Ollama server: host, host:port, :port or a URL, with user:password@ where it needs one",
  Parse.ollamaUrl,
)

const hostsWanted = "addresses of Ollama servers with commas between, such as " +
  "http://10.0.0.4:11434,https://user:password@host"

/** URLs of Ollama servers. @internal */
export const ollamaHosts: Kind<ReadonlyArray<string>> = {
  wanted: hostsWanted,
  parse: (text) => {
    const found = Parse.list(text).map(Parse.ollamaUrl)
    return found.length > 0 && found.every((url) => url !== undefined) ? found : undefined
  },
  natural: Natural.list(
    each(hostsWanted),
    Natural.text(ollamaHost.wanted, Parse.ollamaUrl, { examples: ["http://10.0.0.4:11434"] }),
  ),
}

/** @internal */
export const redisUrl: Kind<string> = text(
  "the URL of a Redis, such as redis://10.0.0.9:6379 or rediss://:password@redis.example:6380/0",
  (text) => /^rediss?:\/\/./.test(text) && URL.canParse(text) ? text : undefined,
  { pattern: "^rediss?://." },
)

const agentsWanted = "http(s) URLs without a user, with commas between, no two on one host, such as " +
  "http://10.0.0.4:11436"

const agentsOf = (found: ReadonlyArray<string>): ReadonlyArray<string> | undefined => {
  if (!found.every((url) => /^https?:$/.test(URL.canParse(url) ? new URL(url).protocol : ""))) return undefined
  // The token is sent in the header in which a user would be.
  if (found.some((url) => new URL(url).username + new URL(url).password !== "")) return undefined
  return new Set(found.map((url) => new URL(url).hostname)).size === found.length ? found : undefined
}

/**
 * URLs of GPU agents. An agent reads the devices of its host, so two agents on one host would count them twice.
 *
 * @internal
 */
export const agents: Kind<ReadonlyArray<string>> = {
  wanted: agentsWanted,
  parse: (text) => agentsOf(Parse.list(text)),
  natural: Natural.map(
    Natural.list(each(agentsWanted), Natural.text("the URL of a GPU agent", (text) => text, { pattern: "^https?://" })),
    each(agentsWanted),
    agentsOf,
  ),
}

/** @internal */
export const path: Kind<string> = text("the path of a file", (text) => text)

/** Every text is valid: an error message would print the secret. @internal */
export const secret: Kind<string> = { ...text("a token, as a text", (text) => text), isSecret: true }

/** The name of an HTTP header, in lower case; empty where it is not set. @internal */
export const header: Kind<string> = text(
  "the name of a header",
  (text) => /^[\w-]*$/.test(text) ? text.toLowerCase() : undefined,
  { pattern: "^[\\w-]*$" },
)

/** The value of a label of backends. @internal */
export const label: Kind<string> = text(
  "one word, as in the labels of backends",
  (text) => /^\S*$/.test(text) ? text : undefined,
  { pattern: "^\\S*$" },
)

/** Texts that must all pass a test. @internal */
export const wordsThat = (wanted: string, test: (word: string) => boolean): Kind<ReadonlyArray<string>> => ({
  wanted,
  parse: (text) => {
    const found = Parse.list(text)
    return found.every(test) ? found : undefined
  },
  natural: Natural.list(each(wanted), Natural.text(each(wanted), (text) => test(text) ? text : undefined)),
})

/** Any texts. `wanted` says of what. @internal */
export const words = (wanted: string): Kind<ReadonlyArray<string>> => wordsThat(wanted, () => true)

/** One of a few words, whatever its case. @internal */
export const oneOf = <const A extends string>(words: ReadonlyArray<A>): Kind<A> => {
  const named = words.filter((word) => word !== "")
  const wanted = `one of ${named.join(", ")}`
  const parse = (text: string) => words.find((word) => word.toLowerCase() === text.toLowerCase())
  return { wanted, parse, natural: Natural.words(wanted, parse, named) }
}
