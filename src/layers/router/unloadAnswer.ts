/**
 * Ollama's answer to a request that only unloads a model.
 *
 * @since 0.1.0
 */
import type { RoutedRequest } from "../../services/RoutedRequest.ts"
import type { Upstream } from "../../services/Transport.ts"
import type { Run } from "./requestState.ts"

/** The fields and their order are Ollama's. An embedding endpoint says nothing about the unload. */
const bodyOf = ({ endpoint, envelope: { model } }: RoutedRequest, now: number): object => {
  if (endpoint.kind === "embed") {
    return endpoint.upstreamPath === "/api/embeddings" ? { embedding: [] } : { model, embeddings: [] }
  }
  const nothing = endpoint.kind === "chat" ? { message: { role: "assistant", content: "" } } : { response: "" }
  return { model, created_at: new Date(now).toISOString(), ...nothing, done: true, done_reason: "unload" }
}

/** The upstream of an answer that has come as a whole. */
const ended: Upstream = { pause: () => {}, resume: () => {}, abort: () => {} }

/** Gives the answer to the client. `now` is in milliseconds by the router's clock. @internal */
export const write = ({ reply, request }: Run, now: number): void => {
  const body = new TextEncoder().encode(JSON.stringify(bodyOf(request, now)))
  reply.open(ended)
  reply.head(200, ["Content-Type", "application/json; charset=utf-8", "Content-Length", String(body.length)])
  reply.data(body)
  reply.end()
}
