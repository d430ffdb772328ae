/**
 * Scripted faults of a simulated server.
 *
 * @since 0.1.0
 */
import { Duration } from "effect"

/**
 * A fault. `after` counts tokens: the fault happens when that many have been sent.
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
  | { readonly _tag: "Truncate"; readonly after: number; readonly error: string | undefined }
  | { readonly _tag: "Interim"; readonly statuses: ReadonlyArray<number> }
  | { readonly _tag: "LongHead"; readonly bytes: number }

/**
 * The connection is refused.
 *
 * @category constructors
 * @since 0.1.0
 */
export const refuse: Fault = { _tag: "Refuse" }

/**
 * The connection breaks before an answer, or after this many tokens.
 *
 * @category constructors
 * @since 0.1.0
 */
export const reset = (after?: number): Fault => ({ _tag: "Reset", after })

/**
 * The request is accepted and never answered.
 *
 * @category constructors
 * @since 0.1.0
 */
export const hang: Fault = { _tag: "Hang" }

/**
 * A stream stops after this many tokens without ending. It keeps its slot.
 *
 * @category constructors
 * @since 0.1.0
 */
export const stall = (after: number): Fault => ({ _tag: "Stall", after })

/**
 * The runner dies after this many tokens, under every request that it serves. The native paths send an error line;
 * `/v1` sends an empty chunk and no terminator.
 *
 * @category constructors
 * @since 0.1.0
 */
export const crash = (after: number): Fault => ({ _tag: "Crash", after })

/**
 * Ollama's text for an answer that it ends because the model repeats itself, from 0.34.1 on.
 *
 * @category models
 * @since 0.1.0
 */
export const repeatText = "prediction aborted, token repeat limit reached"

/**
 * A stream ends after this many tokens, without its terminator and without an error, and an answer in one piece says
 * that it is not done, as with Ollama's repeat limit up to 0.34.0. With an `error`, it ends in this error, as with the
 * repeat limit from 0.34.1 on (`repeatText`): status 500, or what `crash` leaves of a stream.
 *
 * @category constructors
 * @since 0.1.0
 */
export const truncate = (after: number, error?: string): Fault => ({ _tag: "Truncate", after, error })

/**
 * An error with this status, in the dialect of the path.
 *
 * @category constructors
 * @since 0.1.0
 */
export const failure = (status: number, text: string): Fault => ({ _tag: "Failure", status, text })

/**
 * 500, as when a runner cannot be started.
 *
 * @category constructors
 * @since 0.1.0
 */
export const internal: Fault = failure(500, "llama-server process has terminated: exit status 2")

/**
 * Ollama's text when its queue is full. The two spaces are in the original.
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
 * 429, as a proxy in front of Ollama, or ollama.com, answers.
 *
 * @category constructors
 * @since 0.1.0
 */
export const tooMany: Fault = failure(429, "too many requests")

/**
 * The normal answer, but later. With `path: "/api/ps"` it is the slow `ps` of a busy server.
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
 * An HTTP answer that Ollama never gives. Defaults to the error page of a proxy.
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
 * The normal answer after interim heads, such as `100` or `103`, that nobody asked for. Some proxies send them. Only
 * `SimulatedOllamaServer` has heads to send them with; elsewhere the answer is the normal one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const interim = (...statuses: ReadonlyArray<number>): Fault => ({ _tag: "Interim", statuses })

/**
 * The normal answer with so many more bytes in its head, as proxies add them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const longHead = (bytes: number): Fault => ({ _tag: "LongHead", bytes })

/**
 * Which requests a fault is for. Defaults to all of them.
 *
 * @category models
 * @since 0.1.0
 */
export interface FaultMatch {
  /** A path, or the start of a path followed by `*`. */
  readonly path?: string | undefined
  /** Number of requests before the fault ends. Defaults to no limit. */
  readonly times?: number | undefined
}

interface Rule {
  readonly fault: Fault
  readonly path: string | undefined
  left: number
}

/**
 * The faults of one server. The first one set that matches a request is used.
 *
 * @category models
 * @since 0.1.0
 */
export class Faults {
  #rules: Array<Rule> = []

  /** Sets a fault. The returned function removes it. */
  set(fault: Fault, match?: FaultMatch): () => void {
    const rule: Rule = { fault, path: match?.path, left: match?.times ?? Infinity }
    this.#rules.push(rule)
    return () => void (this.#rules = this.#rules.filter((one) => one !== rule))
  }

  /** Removes all faults. */
  clear(): void {
    this.#rules = []
  }

  /** The fault for a request, which counts as one use of it. */
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
