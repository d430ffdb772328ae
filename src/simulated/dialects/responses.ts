/**
 * `/v1/responses`: OpenAI's newer API, named events with sequence numbers.
 *
 * @since 0.1.0
 */
import { goJson } from "../go/encode.ts"
import { type Dialect, sseNamed, type Summary } from "./dialect.ts"
import { json, openAiFailure } from "./openAi.ts"

/**
 * The values of the request that an answer repeats.
 *
 * @category models
 * @since 0.1.0
 */
export interface Asked {
  readonly model: string
  readonly instructions: string | null
  readonly maxOutputTokens: number | null
  readonly temperature: number
  readonly topP: number
}

/** The ids and times of one answer, and the values that it repeats. Times in seconds since 1970. */
interface Answer {
  readonly asked: Asked
  readonly id: string
  readonly itemId: string
  readonly created: number
}

const part = (text: string) => ({ annotations: [], logprobs: [], text, type: "output_text" })

const item = (id: string, status: string, content: ReadonlyArray<object>) => ({
  content,
  id,
  role: "assistant",
  status,
  type: "message",
})

const usageOf = (summary: Summary) => ({
  input_tokens: summary.promptTokens,
  input_tokens_details: { cached_tokens: 0 },
  output_tokens: summary.tokens,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: summary.promptTokens + summary.tokens,
})

/** The `response` object inside an event. Its fields are in alphabetical order, as Go writes maps. */
const inEvent = (
  { asked, created, id }: Answer,
  status: string,
  output: ReadonlyArray<object>,
  usage: object | null,
) => ({
  background: false,
  completed_at: status === "completed" ? created : null,
  created_at: created,
  error: null,
  frequency_penalty: 0,
  id,
  incomplete_details: null,
  instructions: asked.instructions,
  max_output_tokens: asked.maxOutputTokens,
  max_tool_calls: null,
  metadata: {},
  model: asked.model,
  object: "response",
  output,
  parallel_tool_calls: true,
  presence_penalty: 0,
  previous_response_id: null,
  prompt_cache_key: null,
  reasoning: null,
  safety_identifier: null,
  service_tier: "default",
  status,
  store: false,
  temperature: asked.temperature,
  text: { format: { type: "text" } },
  tool_choice: "auto",
  tools: [],
  top_logprobs: 0,
  top_p: asked.topP,
  truncation: "disabled",
  usage,
  user: null,
})

/** The whole answer without a stream. Its fields are in the order of Ollama's Go struct. */
const alone = ({ asked, created, id, itemId }: Answer, summary: Summary) => ({
  id,
  object: "response",
  created_at: created,
  completed_at: created,
  status: "completed",
  incomplete_details: null,
  model: asked.model,
  previous_response_id: null,
  instructions: asked.instructions,
  output: [{
    id: itemId,
    type: "message",
    status: "completed",
    role: "assistant",
    content: [{ type: "output_text", text: summary.text, annotations: [], logprobs: [] }],
  }],
  error: null,
  tools: [],
  tool_choice: "auto",
  truncation: "disabled",
  parallel_tool_calls: true,
  text: { format: { type: "text" } },
  top_p: asked.topP,
  presence_penalty: 0,
  frequency_penalty: 0,
  top_logprobs: 0,
  temperature: asked.temperature,
  reasoning: null,
  usage: usageOf(summary),
  max_output_tokens: asked.maxOutputTokens,
  max_tool_calls: null,
  store: false,
  background: false,
  service_tier: "default",
  metadata: {},
  safety_identifier: null,
  prompt_cache_key: null,
})

/**
 * `/v1/responses`; `number` makes the ids, `created` is in seconds since 1970.
 *
 * @category constructors
 * @since 0.1.0
 */
export const responses = (asked: Asked, number: number, created: number): Dialect => {
  const item_id = `msg_${number}`
  const answer: Answer = { asked, id: `resp_${number}`, itemId: item_id, created }
  let sequence = 0
  const event = (type: string, before: object, after: object = {}): string =>
    sseNamed(type, { ...before, sequence_number: sequence++, ...after, type })
  const start = (): ReadonlyArray<string> => [
    event("response.created", { response: inEvent(answer, "in_progress", [], null) }),
    event("response.in_progress", { response: inEvent(answer, "in_progress", [], null) }),
    event("response.output_item.added", { item: item(item_id, "in_progress", []), output_index: 0 }),
    event("response.content_part.added", { content_index: 0, item_id, output_index: 0, part: part("") }),
  ]
  return {
    contentType: "text/event-stream",
    headers: ["Cache-Control", "no-cache", "Connection", "keep-alive"],
    token: (delta, index) => [
      ...(index === 0 ? start() : []),
      event("response.output_text.delta", { content_index: 0, delta, item_id, logprobs: [], output_index: 0 }),
    ],
    final: (summary) => {
      const { text } = summary
      const done = item(item_id, "completed", [part(text)])
      return [
        ...(text === "" ? start() : []),
        event("response.output_text.done", { content_index: 0, item_id, logprobs: [], output_index: 0 }, { text }),
        event("response.content_part.done", { content_index: 0, item_id, output_index: 0, part: part(text) }),
        event("response.output_item.done", { item: done, output_index: 0 }),
        event("response.completed", { response: inEvent(answer, "completed", [done], usageOf(summary)) }),
      ]
    },
    whole: (summary) => ({ contentType: json, body: goJson(alone(answer, summary)) + "\n" }),
    failure: openAiFailure,
    broken: () => undefined,
  }
}
