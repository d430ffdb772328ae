/**
 * A simulated Ollama whose model also calls tools and writes JSON: requests with tools or a schema get the answers that
 * a real server gives, all others go to the simulated server.
 */
import { Effect, type Scope } from "effect"
import { createServer, request as call, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { SimulatedFleet } from "../../src/simulated/index.ts"
import * as SimulatedOllamaServer from "../../src/simulated/SimulatedOllamaServer.ts"

const model = SimulatedFleet.Model.model({ name: "tiny-talented", capabilities: ["completion", "tools", "vision"] })
const models = [model, SimulatedFleet.Model.tinyEmbed]

const place = { city: "Paris" }
const text = JSON.stringify(place)

interface Body {
  readonly model?: string
  readonly stream?: boolean
  readonly format?: unknown
  readonly response_format?: { readonly type?: string }
  readonly messages?: ReadonlyArray<{ readonly role?: string }>
  readonly tools?: ReadonlyArray<{ readonly name?: string; readonly function?: { readonly name?: string } }>
}

const nameOf = ({ tools }: Body): string => tools?.[0]?.function?.name ?? tools?.[0]?.name ?? ""

const native = (body: Body, calls: boolean): ReadonlyArray<object> => {
  const head = { model: body.model, created_at: "2026-01-15T12:00:00Z" }
  const tool_calls = [{ id: "call_1", function: { index: 0, name: nameOf(body), arguments: place } }]
  const message = calls ? { role: "assistant", content: "", tool_calls } : { role: "assistant", content: text }
  const numbers = { total_duration: 5, load_duration: 1, prompt_eval_count: 9, prompt_eval_duration: 1 }
  const end = { done: true, done_reason: "stop", ...numbers, eval_count: 7, eval_duration: 3 }
  if (body.stream === false) return [{ ...head, message, ...end }]
  return [{ ...head, message, done: false }, { ...head, message: { role: "assistant", content: "" }, ...end }]
}

const openAi = (body: Body, calls: boolean): ReadonlyArray<object> => {
  const head = { id: "chatcmpl-1", created: 1768478400, model: body.model, system_fingerprint: "fp_ollama" }
  const call = { id: "call_1", index: 0, type: "function", function: { name: nameOf(body), arguments: text } }
  const message = calls ? { role: "assistant", content: "", tool_calls: [call] } : { role: "assistant", content: text }
  const finish_reason = calls ? "tool_calls" : "stop"
  const usage = { prompt_tokens: 9, completion_tokens: 7, total_tokens: 16 }
  if (body.stream !== true) {
    return [{ ...head, object: "chat.completion", choices: [{ index: 0, message, finish_reason }], usage }]
  }
  const chunk = { ...head, object: "chat.completion.chunk" }
  const delta = { role: "assistant", content: "" }
  return [
    { ...chunk, choices: [{ index: 0, delta: message, finish_reason: null }] },
    { ...chunk, choices: [{ index: 0, delta, finish_reason }] },
  ]
}

const anthropic = (body: Body): ReadonlyArray<{ readonly type: string }> => {
  const block = { type: "tool_use", id: "toolu_1", name: nameOf(body) }
  const message = { id: "msg_1", type: "message", role: "assistant", model: body.model, stop_sequence: null }
  const usage = { input_tokens: 9, output_tokens: 7 }
  if (body.stream !== true) {
    return [{ ...message, content: [{ ...block, input: place }], stop_reason: "tool_use", usage } as { type: string }]
  }
  const started = { ...message, content: [], stop_reason: null, usage: { input_tokens: 9, output_tokens: 0 } }
  const delta = { type: "input_json_delta", partial_json: text }
  return [
    { type: "message_start", message: started },
    { type: "content_block_start", index: 0, content_block: { ...block, input: {} } },
    { type: "content_block_delta", index: 0, delta },
    { type: "content_block_stop", index: 0 },
    { type: "message_delta", delta: { stop_reason: "tool_use", stop_sequence: null }, usage },
    { type: "message_stop" },
  ] as ReadonlyArray<{ type: string }>
}

/** The content type and the text of an answer; `undefined` where the simulated server answers. */
const answer = (path: string, body: Body): readonly [type: string, text: string] | undefined => {
  const isAnswered = body.messages?.some(({ role }) => role === "tool") === true
  const calls = (body.tools?.length ?? 0) > 0 && !isAnswered
  const json = (typeof body.format === "object" && body.format !== null) || body.format === "json" ||
    body.response_format?.type?.startsWith("json") === true
  if (body.model?.split(":")[0] !== model.name.split(":")[0] || (!calls && !json)) return undefined
  if (path === "/api/chat") {
    const records = native(body, calls).map((record) => JSON.stringify(record))
    return body.stream === false
      ? ["application/json; charset=utf-8", records.join("")]
      : ["application/x-ndjson", records.map((record) => `${record}\n`).join("")]
  }
  if (path === "/v1/chat/completions") {
    const records = openAi(body, calls).map((record) => JSON.stringify(record))
    if (body.stream !== true) return ["application/json", records.join("")]
    return ["text/event-stream", [...records, "[DONE]"].map((record) => `data: ${record}\n\n`).join("")]
  }
  if (path !== "/v1/messages" || !calls) return undefined
  const events = anthropic(body)
  if (body.stream !== true) return ["application/json", JSON.stringify(events[0])]
  return ["text/event-stream", events.map((one) => `event: ${one.type}\ndata: ${JSON.stringify(one)}\n\n`).join("")]
}

const parsed = (body: Buffer): Body => {
  try {
    return JSON.parse(String(body))
  } catch {
    return {}
  }
}

const listener = (target: string): Server =>
  createServer(async (incoming, outgoing) => {
    const chunks: Array<Buffer> = []
    for await (const chunk of incoming) chunks.push(chunk)
    const body = Buffer.concat(chunks)
    const own = answer(incoming.url ?? "/", parsed(body))
    if (own !== undefined) return void outgoing.writeHead(200, { "content-type": own[0] }).end(own[1])
    const { headers, method = "GET", url = "/" } = incoming
    const upstream = call(target + url, { method, headers }, (response) => {
      outgoing.writeHead(response.statusCode ?? 502, response.rawHeaders)
      response.pipe(outgoing)
    })
    upstream.once("error", () => outgoing.destroy())
    outgoing.once("close", () => upstream.destroy())
    upstream.end(body)
  })

/** Its URL; it answers until the scope closes. */
export const make: Effect.Effect<string, never, Scope.Scope> = Effect.gen(function* () {
  const { url } = yield* SimulatedOllamaServer.make({ models, decodeRate: 400 })
  const server = yield* Effect.acquireRelease(
    Effect.callback<Server>((resume) => {
      const made = listener(url).listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
    }),
    (made) =>
      Effect.sync(() => {
        made.closeAllConnections()
        made.close()
      }),
  )
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
