/**
 * The table of inference paths. The router routes these and no others.
 *
 * @since 0.1.0
 */
import type { Dialect, Endpoint, RequestKind, StreamEnd } from "../services/RoutedRequest.ts"
import { canonical } from "./target.ts"

const row = (
  path: string,
  kind: RequestKind,
  dialect: Dialect,
  streamsByDefault: boolean,
  streamEnd: StreamEnd,
  upstreamPath = path,
): Endpoint => ({ path, upstreamPath, kind, dialect, streamsByDefault, streamEnd })

/**
 * Every inference path of Ollama, and llamero's own `POST /api/v1/generate`.
 *
 * @category endpoints
 * @since 0.1.0
 */
export const endpoints: ReadonlyArray<Endpoint> = [
  row("/api/generate", "generate", "native", true, "done-true"),
  row("/api/chat", "chat", "native", true, "done-true"),
  row("/api/embed", "embed", "native", false, "none"),
  row("/api/embeddings", "embed", "native", false, "none"),
  row("/v1/chat/completions", "chat", "openai", false, "done-marker"),
  row("/v1/completions", "generate", "openai", false, "done-marker"),
  row("/v1/embeddings", "embed", "openai", false, "none"),
  row("/v1/responses", "chat", "openai", false, "response-completed"),
  row("/v1/messages", "chat", "anthropic", false, "message-stop"),
  row("/v1/audio/transcriptions", "transcribe", "openai", false, "none"),
  // The backend is called at `/api/generate`, so the stream ends as that one does.
  row("/api/v1/generate", "generate", "generate-v1", false, "done-true", "/api/generate"),
]

const byPath = new Map(endpoints.map((endpoint) => [endpoint.path, endpoint]))

/**
 * The endpoint of a request target, in any spelling for which Ollama serves it (`canonical` in `target.ts`).
 * `undefined` when it is not an inference path. As in Ollama, a slash at the end of the path counts for nothing with
 * `POST`, and with every other method it makes another path.
 *
 * @category endpoints
 * @since 0.1.0
 */
export const find = (target: string, method: string = "POST"): Endpoint | undefined =>
  byPath.get(target) ?? findRead(canonical(target), method)

const findRead = (target: string, method: string): Endpoint | undefined => {
  const query = target.indexOf("?")
  const path = query < 0 ? target : target.slice(0, query)
  return byPath.get(path) ?? (method === "POST" && path.endsWith("/") ? byPath.get(path.slice(0, -1)) : undefined)
}

/**
 * Whether answers of this endpoint can be streamed in records. Embeddings and transcriptions cannot.
 *
 * @category endpoints
 * @since 0.1.0
 */
export const canStream = (endpoint: Endpoint): boolean => endpoint.streamEnd !== "none"
