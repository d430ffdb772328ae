/**
 * `/api/generate` and `/api/chat`: newline-delimited JSON.
 *
 * @since 0.1.0
 */
import type { Failure } from "../http/failure.ts"
import { goJson } from "../go/encode.ts"
import { type Dialect, type Summary, type Whole } from "./dialect.ts"

/**
 * Content type of the native API's JSON.
 *
 * @category models
 * @since 0.1.0
 */
export const json = "application/json; charset=utf-8"

/**
 * An error of the native API.
 *
 * @category encoding
 * @since 0.1.0
 */
export const nativeFailure = (failure: Failure): Whole => ({ contentType: json, body: goJson({ error: failure.text }) })

/** Go leaves out fields that are zero. */
const some = (count: number): number | undefined => count === 0 ? undefined : count

const metrics = (summary: Summary) => ({
  total_duration: some(summary.total),
  load_duration: some(summary.load),
  prompt_eval_count: some(summary.promptTokens),
  prompt_eval_duration: some(summary.prompt),
  eval_count: some(summary.tokens),
  eval_duration: some(summary.decode),
})

/** `goJson` costs a regular expression for each line, and no token needs its escapes. */
const line = (value: unknown): string => JSON.stringify(value) + "\n"

const make = (last: (text: string, summary: Summary) => object, token: (text: string) => object): Dialect => ({
  contentType: "application/x-ndjson",
  headers: [],
  token: (text) => [line(token(text))],
  final: (summary) => [line(last("", summary))],
  whole: (summary) => ({ contentType: json, body: goJson(last(summary.text, summary)) }),
  failure: nativeFailure,
  broken: (text) => line({ error: text }),
})

/**
 * `/api/generate`; the answer repeats `model` as the request spelled it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const generate = (model: string, stamp: () => string): Dialect =>
  make((response, summary) => ({
    model,
    created_at: stamp(),
    response,
    done: summary.done,
    ...(summary.done ? { done_reason: summary.reason, context: summary.context(), ...metrics(summary) } : {}),
  }), (response) => ({ model, created_at: stamp(), response, done: false }))

/**
 * `/api/chat`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const chat = (model: string, stamp: () => string): Dialect =>
  make((content, summary) => ({
    model,
    created_at: stamp(),
    message: { role: "assistant", content },
    done: summary.done,
    ...(summary.done ? { done_reason: summary.reason, ...metrics(summary) } : {}),
  }), (content) => ({ model, created_at: stamp(), message: { role: "assistant", content }, done: false }))
