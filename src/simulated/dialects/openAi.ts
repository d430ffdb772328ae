/**
 * `/v1/chat/completions` and `/v1/completions`: server-sent events that end with `[DONE]`.
 *
 * @since 0.1.0
 */
import type { Failure } from "../http/failure.ts"
import { goJson } from "../go/encode.ts"
import { type Dialect, sse, type Summary, type Whole } from "./dialect.ts"

/**
 * Content type of `/v1` answers; it differs from the native one.
 *
 * @category models
 * @since 0.1.0
 */
export const json = "application/json"

/**
 * An error in OpenAI's shape.
 *
 * @category encoding
 * @since 0.1.0
 */
export const openAiError = (status: number, message: string): string => {
  const type = status === 400 ? "invalid_request_error" : status === 404 ? "not_found_error" : "api_error"
  return goJson({ error: { message, type, param: null, code: null } })
}

/**
 * An error of the native code under the `/v1` path: Go's encoder adds a newline.
 *
 * @category encoding
 * @since 0.1.0
 */
export const openAiFailure = (failure: Failure): Whole => ({
  contentType: json,
  body: openAiError(failure.status, failure.text) + "\n",
})

const usage = (summary: Summary) => ({
  prompt_tokens: summary.promptTokens,
  completion_tokens: summary.tokens,
  total_tokens: summary.promptTokens + summary.tokens,
})

const system_fingerprint = "fp_ollama"

/** Go's zero time in seconds since 1970. It is in the chunk that a dead runner leaves. */
const zeroTime = -62135596800

/**
 * `/v1/chat/completions`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const chat = (model: string, number: number, created: number, withUsage: boolean): Dialect => {
  const id = `chatcmpl-${number}`
  const chunk = (delta: object, finish_reason: string | null, of = model, at = created) => ({
    id,
    object: "chat.completion.chunk",
    created: at,
    model: of,
    system_fingerprint,
    choices: [{ index: 0, delta, finish_reason }],
  })
  return {
    contentType: "text/event-stream",
    headers: [],
    token: (content, index) => [sse(chunk(index === 0 ? { role: "assistant", content } : { content }, null))],
    final: (summary) => [
      sse(chunk({}, summary.reason)),
      ...(withUsage ? [sse({ ...chunk({}, null), choices: [], usage: usage(summary) })] : []),
      "data: [DONE]\n\n",
    ],
    whole: (summary) => ({
      contentType: json,
      body: goJson({
        id,
        object: "chat.completion",
        created,
        model,
        system_fingerprint,
        choices: [{
          index: 0,
          message: { role: "assistant", content: summary.text },
          finish_reason: summary.done ? summary.reason : null,
        }],
        usage: usage(summary),
      }) + "\n",
    }),
    failure: openAiFailure,
    broken: () => sse(chunk({ content: "" }, null, "", zeroTime)),
  }
}

/**
 * `/v1/completions`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const completions = (model: string, number: number, created: number, withUsage: boolean): Dialect => {
  const id = `cmpl-${number}`
  const chunk = (choices: ReadonlyArray<object>, of = model, at = created) => ({
    id,
    object: "text_completion",
    created: at,
    choices,
    model: of,
    system_fingerprint,
  })
  return {
    contentType: "text/event-stream",
    headers: [],
    token: (text) => [sse(chunk([{ text, index: 0, finish_reason: null }]))],
    final: (summary) => [
      sse(chunk([{ text: "", index: 0, finish_reason: summary.reason }])),
      ...(withUsage ? [sse({ ...chunk([]), usage: usage(summary) })] : []),
      "data: [DONE]\n\n",
    ],
    whole: (summary) => ({
      contentType: json,
      body: goJson({
        id,
        object: "text_completion",
        created,
        model,
        system_fingerprint,
        choices: [{ text: summary.text, index: 0, finish_reason: summary.done ? summary.reason : null }],
        usage: usage(summary),
      }) + "\n",
    }),
    failure: openAiFailure,
    broken: () => sse(chunk([{ text: "", index: 0, finish_reason: null }], "", zeroTime)),
  }
}
