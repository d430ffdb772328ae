/**
 * The kinds of values that settings have: numbers, times, sizes, addresses, names.
 *
 * @since 0.1.0
 */
import * as GoDuration from "../../wire/goDuration.ts"
import * as Parse from "./parse.ts"
import type { Kind } from "./variable.ts"

/** @internal */
export const atLeast = (minimum: number): Kind<number> => ({
  wanted: `a whole number of at least ${minimum}`,
  parse: Parse.whole(minimum),
})

/** @internal */
export const between = (minimum: number, maximum: number): Kind<number> => ({
  wanted: `a whole number from ${minimum} to ${maximum}`,
  parse: Parse.whole(minimum, maximum),
})

/** A number of at least 0, not necessarily whole. @internal */
export const ratio: Kind<number> = { wanted: "a number of at least 0", parse: Parse.decimal }

/** @internal */
export const onOff: Kind<boolean> = { wanted: "on or off", parse: Parse.onOff }

/** Milliseconds. @internal */
export const duration: Kind<number> = {
  wanted: "a duration with its unit, such as 500ms, 30s or 5m",
  parse: GoDuration.millis,
}

/** Milliseconds, or `Infinity` for "off". @internal */
export const optionalDuration: Kind<number> = {
  wanted: `${duration.wanted}, or off`,
  parse: (text) => text.toLowerCase() === "off" ? Infinity : GoDuration.millis(text),
}

/** Bytes. @internal */
export const size: Kind<number> = {
  wanted: "a number of bytes, such as 67108864, 64MiB or 256MB",
  parse: Parse.bytes,
}

/** @internal */
export const port: Kind<number> = { wanted: "a port from 0 to 65535 (0: any free one)", parse: Parse.whole(0, 65_535) }

/** @internal */
export const address: Kind<string> = {
  wanted: "an address to listen on, without a port, such as 127.0.0.1, 0.0.0.0 or ::",
  parse: (text) => /^[\w.%-]+$/.test(text) || /^[\da-f.]*(:[\da-f.]*){2,7}(%\w+)?$/i.test(text) ? text : undefined,
}

/** The URL of one Ollama server, from any spelling that `OLLAMA_HOST` takes. @internal */
export const ollamaHost: Kind<string> = {
  wanted: "the address of one Ollama server: host, host:port, :port or a URL, with user:password@ where it needs one",
  parse: Parse.ollamaUrl,
}

/** URLs of Ollama servers. @internal */
export const ollamaHosts: Kind<ReadonlyArray<string>> = {
  wanted: "addresses of Ollama servers with commas between, such as http://10.0.0.4:11434,https://user:password@host",
  parse: (text) => {
    const found = Parse.list(text).map(Parse.ollamaUrl)
    return found.length > 0 && found.every((url) => url !== undefined) ? found : undefined
  },
}

/** @internal */
export const redisUrl: Kind<string> = {
  wanted: "the URL of a Redis, such as redis://10.0.0.9:6379 or rediss://:password@redis.example:6380/0",
  parse: (text) => /^rediss?:\/\/./.test(text) && URL.canParse(text) ? text : undefined,
}

/**
 * URLs of GPU agents. An agent reads the devices of its host, so two agents on one host would count them twice.
 *
 * @internal
 */
export const agents: Kind<ReadonlyArray<string>> = {
  wanted: "http(s) URLs without a user, with commas between, no two on one host, such as http://10.0.0.4:11436",
  parse: (text) => {
    const found = Parse.list(text)
    if (!found.every((url) => /^https?:$/.test(URL.canParse(url) ? new URL(url).protocol : ""))) return undefined
    // The token is sent in the header in which a user would be.
    if (found.some((url) => new URL(url).username + new URL(url).password !== "")) return undefined
    return new Set(found.map((url) => new URL(url).hostname)).size === found.length ? found : undefined
  },
}

/** @internal */
export const path: Kind<string> = { wanted: "the path of a file", parse: (text) => text }

/** Every text is valid: an error message would print the secret. @internal */
export const secret: Kind<string> = { wanted: "a token", parse: (text) => text }

/** The name of an HTTP header, in lower case; empty where it is not set. @internal */
export const header: Kind<string> = {
  wanted: "the name of a header",
  parse: (text) => /^[\w-]*$/.test(text) ? text.toLowerCase() : undefined,
}

/** The value of a label of backends. @internal */
export const label: Kind<string> = {
  wanted: "one word, as in the labels of backends",
  parse: (text) => /^\S*$/.test(text) ? text : undefined,
}

/** Any texts. `wanted` says of what. @internal */
export const words = (wanted: string): Kind<ReadonlyArray<string>> => ({ wanted, parse: Parse.list })

/** Texts that must all pass a test. @internal */
export const wordsThat = (wanted: string, test: (word: string) => boolean): Kind<ReadonlyArray<string>> => ({
  wanted,
  parse: (text) => {
    const found = Parse.list(text)
    return found.every(test) ? found : undefined
  },
})

/** One of a few words, whatever its case. @internal */
export const oneOf = <const A extends string>(words: ReadonlyArray<A>): Kind<A> => ({
  wanted: `one of ${words.filter((word) => word !== "").join(", ")}`,
  parse: (text) => words.find((word) => word.toLowerCase() === text.toLowerCase()),
})
