/**
 * How an answer is written on each of Ollama's APIs: the types that they share. Effect's SSE
 * encoder gives the same bytes, but runs a regular expression for each token to look for line ends that JSON never has.
 *
 * @since 0.1.0
 */
import { goJson } from "../go/encode.ts"
import type { Failure } from "../http/failure.ts"

/**
 * The figures of a complete answer. Durations in nanoseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Summary {
  readonly text: string
  readonly done: boolean
  readonly reason: "stop" | "length"
  readonly promptTokens: number
  readonly tokens: number
  readonly total: number
  readonly load: number
  readonly prompt: number
  readonly decode: number
  /** Token ids of prompt and answer. Only `/api/generate` calls it. */
  readonly context: () => ReadonlyArray<number>
}

/**
 * An answer in one piece, or an error.
 *
 * @category models
 * @since 0.1.0
 */
export interface Whole {
  readonly contentType: string
  readonly body: string
}

/**
 * How one API writes an answer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dialect {
  readonly contentType: string
  /** Headers of a stream, besides the usual ones. */
  readonly headers: ReadonlyArray<string>
  /** The chunks for one token. Those of the first token include everything before it. */
  readonly token: (text: string, index: number) => ReadonlyArray<string>
  readonly final: (summary: Summary) => ReadonlyArray<string>
  readonly whole: (summary: Summary) => Whole
  readonly failure: (failure: Failure) => Whole
  /** The last chunk of a stream whose runner has died; `undefined` for none. */
  readonly broken: (text: string) => string | undefined
}

/**
 * A server-sent event without a name.
 *
 * @category encoding
 * @since 0.1.0
 */
export const sse = (value: unknown): string => `data: ${goJson(value)}\n\n`

/**
 * A server-sent event with a name.
 *
 * @category encoding
 * @since 0.1.0
 */
export const sseNamed = (event: string, value: unknown): string => `event: ${event}\ndata: ${goJson(value)}\n\n`
