/**
 * `/v1/messages`: Anthropic's named events.
 *
 * @since 0.1.0
 */
import type { Failure } from "../http/failure.ts"
import { goJson } from "../go/encode.ts"
import { type Dialect, sseNamed, type Summary, type Whole } from "./dialect.ts"
import { json } from "./openAi.ts"

const types: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  429: "rate_limit_error",
  503: "overloaded_error",
  529: "overloaded_error",
}

/**
 * An error in Anthropic's shape.
 *
 * @category encoding
 * @since 0.1.0
 */
export const anthropicError = (status: number, message: string, id: string): string =>
  goJson({ type: "error", error: { type: types[status] ?? "api_error", message }, request_id: `req_${id}` })

/**
 * `/v1/messages`; `estimate` is the estimated number of prompt tokens in the first event.
 *
 * @category constructors
 * @since 0.1.0
 */
export const messages = (model: string, id: string, estimate: number): Dialect => {
  const start = [
    sseNamed("message_start", {
      type: "message_start",
      message: {
        id: `msg_${id}`,
        type: "message",
        role: "assistant",
        model,
        content: [],
        usage: { input_tokens: estimate, output_tokens: 0 },
      },
    }),
    sseNamed("content_block_start", {
      type: "content_block_start",
      index: 0,
      content_block: { type: "text", text: "" },
    }),
  ]
  const usage = (summary: Summary) => ({ input_tokens: summary.promptTokens, output_tokens: summary.tokens })
  const reason = (summary: Summary) => summary.reason === "length" ? "max_tokens" : "end_turn"
  return {
    contentType: "text/event-stream",
    headers: ["Cache-Control", "no-cache", "Connection", "keep-alive"],
    token: (text, index) => [
      ...(index === 0 ? start : []),
      sseNamed("content_block_delta", {
        type: "content_block_delta",
        index: 0,
        delta: { type: "text_delta", text },
      }),
    ],
    final: (summary) => [
      ...(summary.text === "" ? start : []),
      sseNamed("content_block_stop", { type: "content_block_stop", index: 0 }),
      sseNamed("message_delta", {
        type: "message_delta",
        delta: { stop_reason: reason(summary) },
        usage: usage(summary),
      }),
      sseNamed("message_stop", { type: "message_stop" }),
    ],
    whole: (summary) => ({
      contentType: json,
      body: goJson({
        id: `msg_${id}`,
        type: "message",
        role: "assistant",
        model,
        content: [{ type: "text", text: summary.text }],
        stop_reason: reason(summary),
        usage: usage(summary),
      }) + "\n",
    }),
    failure: (failure: Failure): Whole => ({
      contentType: json,
      body: anthropicError(failure.status, failure.text, id) + "\n",
    }),
    broken: () => undefined,
  }
}
