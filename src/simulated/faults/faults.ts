/**
 * What can go wrong with a simulated server, scripted.
 *
 * @since 0.1.0
 */
import { Duration } from "effect"

/**
 * One way to go wrong. `after` counts tokens: the fault strikes when so many have been sent.
 *
 * @category models
 * @since 0.1.0
 */
export type Fault =
  | { readonly _tag: "Refuse" }
  | { readonly _tag: "Hang" }
  | { readonly _tag: "Slow"; readonly delay: Duration.Duration }
  | { readonly _tag: "Garbage" }
  | { readonly _tag: "Answer"; readonly status: number; readonly contentType: string; readonly body: string }
  | { readonly _tag: "Failure"; readonly status: number; readonly text: string }
  | { readonly _tag: "Reset"; readonly after: number | undefined }
  | { readonly _tag: "Stall"; readonly after: number }
  | { readonly _tag: "Crash"; readonly after: number }
  | { readonly _tag: "Truncate"; readonly after: number }

/**
 * The connection is refused.
 *
 * @category constructors
 * @since 0.1.0
 */
export const refuse: Fault = { _tag: "Refuse" }

/**
 * The connection breaks before an answer, or after so many tokens of one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const reset = (after?: number): Fault => ({ _tag: "Reset", after })

/**
 * The request is taken and never answered.
 *
 * @category constructors
 * @since 0.1.0
 */
export const hang: Fault = { _tag: "Hang" }

/**
 * A stream goes silent after so many tokens; it keeps its slot.
 *
 * @category constructors
 * @since 0.1.0
 */
export const stall = (after: number): Fault => ({ _tag: "Stall", after })

/**
 * The runner dies after so many tokens, under every request it serves: an error line on the native paths, an empty chunk and no terminator on `/v1`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const crash = (after: number): Fault => ({ _tag: "Crash", after })

/**
 * A stream ends after so many tokens without its terminator and without an error (Ollama's repeat limit does this).
 *
 * @category constructors
 * @since 0.1.0
 */
export const truncate = (after: number): Fault => ({ _tag: "Truncate", after })

/**
 * An error of this status, in the dialect of the path.
 *
 * @category constructors
 * @since 0.1.0
 */
export const failure = (status: number, text: string): Fault => ({ _tag: "Failure", status, text })

/**
 * 500, as when a runner will not start.
 *
 * @category constructors
 * @since 0.1.0
 */
export const internal: Fault = failure(500, "llama-server process has terminated: exit status 2")

/**
 * Ollama's text when its queue is full: two spaces, as in the original.
 *
 * @category models
 * @since 0.1.0
 */
export const busyText = "server busy, please try again.  maximum pending requests exceeded"

/**
 * 503, as when the queue is full.
 *
 * @category constructors
 * @since 0.1.0
 */
export const busy: Fault = failure(503, busyText)

/**
 * 429, as a proxy in front of Ollama or ollama.com gives.
 *
 * @category constructors
 * @since 0.1.0
 */
export const tooMany: Fault = failure(429, "too many requests")

/**
 * Everything as usual, but later: with `path: "/api/ps"`, the slow ps.
 *
 * @category constructors
 * @since 0.1.0
 */
export const slow = (delay: Duration.Input): Fault => ({ _tag: "Slow", delay: Duration.fromInputUnsafe(delay) })

/**
 * Bytes that are not HTTP.
 *
 * @category constructors
 * @since 0.1.0
 */
export const garbage: Fault = { _tag: "Garbage" }

/**
 * An HTTP answer that no Ollama gives: a proxy's error page, by default.
 *
 * @category constructors
 * @since 0.1.0
 */
export const answer = (options?: {
  readonly status?: number | undefined
  readonly contentType?: string | undefined
  readonly body?: string | undefined
}): Fault => ({
  _tag: "Answer",
  status: options?.status ?? 200,
  contentType: options?.contentType ?? "text/html",
  body: options?.body ?? "<html><body>It works!</body></html>",
})

/**
 * Which requests a fault strikes; all of them when nothing is said.
 *
 * @category models
 * @since 0.1.0
 */
export interface FaultMatch {
  /** A path, or the start of one that ends in `*`. */
  readonly path?: string | undefined
  /** Strikes so many requests, then is over. Defaults to until cleared. */
  readonly times?: number | undefined
}

interface Rule {
  readonly fault: Fault
  readonly path: string | undefined
  left: number
}

/**
 * The faults set on one server. The first that matches, in the order they were set, strikes.
 *
 * @category models
 * @since 0.1.0
 */
export class Faults {
  #rules: Array<Rule> = []

  /** Sets a fault; the function given back takes it away again. */
  set(fault: Fault, match?: FaultMatch): () => void {
    const rule: Rule = { fault, path: match?.path, left: match?.times ?? Infinity }
    this.#rules.push(rule)
    return () => void (this.#rules = this.#rules.filter((one) => one !== rule))
  }

  /** Takes all faults away. */
  clear(): void {
    this.#rules = []
  }

  /** The fault that strikes a request, which uses it up once. */
  next(path: string): Fault | undefined {
    for (const rule of this.#rules) {
      if (rule.left <= 0 || !matches(rule.path, path)) continue
      rule.left--
      return rule.fault
    }
    return undefined
  }
}

const matches = (pattern: string | undefined, path: string): boolean =>
  pattern === undefined || pattern === path || (pattern.endsWith("*") && path.startsWith(pattern.slice(0, -1)))
