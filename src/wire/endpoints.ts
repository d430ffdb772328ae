/**
 * The table of inference paths. The router routes these and no others.
 *
 * @since 0.1.0
 */
import type { Dialect, Endpoint, RequestKind, StreamEnd } from "../services/RoutedRequest.ts"

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
 * The endpoint of a request target (a path, perhaps with a query). `undefined` when it is not an inference path.
 *
 * @category endpoints
 * @since 0.1.0
 */
export const find = (target: string): Endpoint | undefined => {
  const found = byPath.get(target)
  if (found !== undefined) return found
  // A client that uses llamero as a forward proxy sends an absolute URL.
  if (target.startsWith("http://")) return find(target.slice(Math.max(7, target.indexOf("/", 7))))
  const query = target.indexOf("?")
  return query < 0 ? undefined : byPath.get(target.slice(0, query))
}

/**
 * Whether answers of this endpoint can be streamed in records. Embeddings and transcriptions cannot.
 *
 * @category endpoints
 * @since 0.1.0
 */
export const canStream = (endpoint: Endpoint): boolean => endpoint.streamEnd !== "none"
