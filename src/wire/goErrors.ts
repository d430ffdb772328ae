/**
 * The texts of Go's JSON decoder for a bad body. Clients get the same words from llamero as from Ollama.
 *
 * @since 0.1.0
 */
import type { Endpoint } from "../services/RoutedRequest.ts"

const structs: Readonly<Record<string, string>> = {
  "/api/generate": "api.GenerateRequest",
  "/api/chat": "api.ChatRequest",
  "/api/embed": "api.EmbedRequest",
  "/api/embeddings": "api.EmbeddingRequest",
  "/v1/chat/completions": "openai.ChatCompletionRequest",
  "/v1/completions": "openai.CompletionRequest",
  "/v1/embeddings": "openai.EmbedRequest",
  "/v1/responses": "openai.ResponsesRequest",
  "/v1/messages": "anthropic.MessagesRequest",
}

/** The name of the Go type that Ollama decodes the body of an endpoint into. @internal */
export const requestType = (endpoint: Endpoint): string => structs[endpoint.upstreamPath] ?? "map[string]interface {}"

/** Go's text for a value of the wrong type. @internal */
export const typeError = (endpoint: Endpoint, field: string, got: string, want: string): string => {
  const struct = requestType(endpoint)
  return `json: cannot unmarshal ${got} into Go struct field ${
    struct.slice(struct.indexOf(".") + 1)
  }.${field} of type ${want}`
}

const shown = (byte: number): string => {
  if (byte === 0x27) return `'\\''`
  if (byte === 0x22) return `'"'`
  if (byte === 0x0a) return `'\\n'`
  if (byte < 0x20 || byte === 0x7f) return `'\\x${byte.toString(16).padStart(2, "0")}'`
  return `'${String.fromCharCode(byte)}'`
}

/** Go's text for the byte at an offset that may not be there. A negative `at` is what `valueEnd` returned. @internal */
export const invalidByte = (bytes: Uint8Array, at: number, where = "looking for beginning of value"): string => {
  const index = at <= -2 ? -2 - at : at
  const byte = index < 0 ? undefined : bytes[index]
  return byte === undefined ? "unexpected EOF" : `invalid character ${shown(byte)} ${where}`
}
