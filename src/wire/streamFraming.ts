/**
 * How the streams of each dialect are cut into records.
 *
 * @since 0.1.0
 */
import type { Endpoint } from "../services/RoutedRequest.ts"

/** How the records of a stream are framed. @category models @since 0.1.0 */
export type Framing = "ndjson" | "sse"

/** The framing of an endpoint's streams. @category rendering @since 0.1.0 */
export const framing = (endpoint: Endpoint): Framing => endpoint.dialect === "native" ? "ndjson" : "sse"

/** The `Content-Type` of an endpoint's streams. @category rendering @since 0.1.0 */
export const streamType = (endpoint: Endpoint): string =>
  endpoint.dialect === "native" ? "application/x-ndjson" : "text/event-stream"
