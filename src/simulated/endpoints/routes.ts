/**
 * Which endpoint answers which method and path, and how its errors are written.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import { anthropicError } from "../dialects/anthropic.ts"
import type { Whole } from "../dialects/dialect.ts"
import { json, nativeFailure } from "../dialects/native.ts"
import { openAiError, openAiFailure } from "../dialects/openAi.ts"
import * as blobs from "./blobs.ts"
import * as disk from "./modelManagement.ts"
import * as embed from "./embed.ts"
import * as inference from "./inference.ts"
import * as read from "./information.ts"
import * as v1 from "./v1.ts"
import { answerJson, type Endpoint, refuse } from "./endpoint.ts"
import type { Failure } from "../http/failure.ts"

/**
 * An endpoint and the way it is registered.
 *
 * @category models
 * @since 0.1.0
 */
export interface Route {
  readonly endpoint: Endpoint
  /** Whether it generates: such an endpoint handles faults in the middle of a stream itself. */
  readonly streams: boolean
  readonly failure: (failure: Failure, number: number) => Whole
}

/**
 * Errors that `/v1` finds before it passes a request on have the native content type and no newline. Only some paths
 * look for what is required themselves.
 */
const required = /is required/
const early = /too short|^EOF$|^json: |^invalid character|^unexpected EOF|^invalid input$|^Invalid value/

const openAi = (failure: Failure): Whole => failed(failure, early.test(failure.text))
const transcription = (failure: Failure): Whole =>
  failed(failure, early.test(failure.text) || required.test(failure.text))

const failed = (failure: Failure, isEarly: boolean): Whole =>
  failure.status === 400 && isEarly
    ? { contentType: json, body: openAiError(400, failure.text) }
    : openAiFailure(failure)

const anthropic = (failure: Failure, number: number): Whole => {
  const body = anthropicError(failure.status, failure.text, v1.hexId(number))
  return failure.status === 400 && (early.test(failure.text) || required.test(failure.text))
    ? { contentType: json, body }
    : { contentType: "application/json", body: body + "\n" }
}

const native = (endpoint: Endpoint, streams = false): Route => ({ endpoint, streams, failure: nativeFailure })
const compatible = (endpoint: Endpoint, streams = false): Route => ({ endpoint, streams, failure: openAi })

const reads = (route: Route) => ({ HEAD: route, GET: route })

const unauthorized: Endpoint = (call) =>
  Effect.sync(() =>
    call.reply.whole(
      401,
      json,
      `{"error":"unauthorized","signin_url":"https://ollama.com/connect?name=simulated&key="}`,
    )
  )

const signedOut: Endpoint = (call) =>
  Effect.sync(() => call.reply.whole(401, json, `{"error":"you are not currently signed in"}`))

const noCloud = (what: string): Endpoint => (call) =>
  new TextDecoder().decode(call.reply.request.body ?? new Uint8Array()).trim() === ""
    ? refuse(400, "missing request body")
    : refuse(403, `ollama cloud is disabled: ${what} is unavailable`)

/** By path, then by method in the order of `Allow`: `HEAD`, `GET`, `POST`, `DELETE`. */
const table: ReadonlyMap<string, Readonly<Record<string, Route>>> = new Map<string, Readonly<Record<string, Route>>>([
  ["/", reads(native(read.rootEndpoint))],
  ["/api/version", reads(native(read.versionEndpoint))],
  ["/api/status", { GET: native(read.statusEndpoint) }],
  ["/api/tags", reads(native(read.tagsEndpoint))],
  ["/api/ps", { GET: native(read.psEndpoint) }],
  ["/api/show", { POST: native(read.showEndpoint) }],
  ["/api/generate", { POST: native(inference.generateEndpoint, true) }],
  ["/api/chat", { POST: native(inference.chatEndpoint, true) }],
  ["/api/embed", { POST: native(embed.embedEndpoint) }],
  ["/api/embeddings", { POST: native(embed.embeddingsEndpoint) }],
  ["/v1/chat/completions", { POST: compatible(v1.chatCompletionsEndpoint, true) }],
  ["/v1/completions", { POST: compatible(v1.completionsEndpoint, true) }],
  ["/v1/embeddings", { POST: compatible(embed.openAiEmbeddingsEndpoint) }],
  ["/v1/responses", { POST: compatible(v1.responsesEndpoint, true) }],
  ["/v1/messages", { POST: { endpoint: v1.messagesEndpoint, streams: true, failure: anthropic } }],
  ["/v1/audio/transcriptions", {
    POST: { endpoint: v1.transcriptionsEndpoint, streams: false, failure: transcription },
  }],
  ["/v1/models", { GET: compatible(read.modelsEndpoint) }],
  ["/v1/models/:model", { GET: compatible(read.modelEndpoint) }],
  ["/api/pull", { POST: native(disk.pullEndpoint) }],
  ["/api/push", { POST: native(disk.pushEndpoint) }],
  ["/api/create", { POST: native(disk.createEndpoint) }],
  ["/api/copy", { POST: native(disk.copyEndpoint) }],
  ["/api/delete", { DELETE: native(disk.deleteEndpoint) }],
  ["/api/blobs/:digest", { HEAD: native(blobs.headBlobEndpoint), POST: native(blobs.putBlobEndpoint) }],
  ["/api/me", { POST: native(unauthorized) }],
  ["/api/signout", { POST: native(signedOut) }],
  ["/api/user/keys/:key", { DELETE: native(signedOut) }],
  ["/api/experimental/web_search", { POST: native(noCloud("web search")) }],
  ["/api/experimental/web_fetch", { POST: native(noCloud("web fetch")) }],
  ["/api/experimental/model-recommendations", { GET: native((call) => answerJson(call, `{"models":[]}`)) }],
])

const parameters = /^(\/v1\/models\/|\/api\/blobs\/|\/api\/user\/keys\/)([^/]+)$/
const places: Readonly<Record<string, string>> = {
  "/v1/models/": "/v1/models/:model",
  "/api/blobs/": "/api/blobs/:digest",
  "/api/user/keys/": "/api/user/keys/:key",
}

/** What `find` answers for a path that there is not. @category constants @since 0.1.0 */
export const nowhere: ReturnType<typeof find> = { route: undefined, allow: [], parameter: "" }

/**
 * The route of a request, by its decoded path; if there is none, the methods that its path has.
 *
 * @category combinators
 * @since 0.1.0
 */
export const find = (method: string, path: string): {
  readonly route: Route | undefined
  readonly allow: ReadonlyArray<string>
  readonly parameter: string
} => {
  const exact = table.get(path)
  const match = exact === undefined ? parameters.exec(path) : null
  const methods = exact ?? (match === null ? undefined : table.get(places[match[1] ?? ""] ?? ""))
  if (methods === undefined) return nowhere
  return {
    route: Object.hasOwn(methods, method) ? methods[method] : undefined,
    allow: Object.keys(methods),
    parameter: match?.[2] ?? "",
  }
}
