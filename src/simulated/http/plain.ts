/**
 * Asks a simulated server, and decodes its answer where it is compressed.
 *
 * @since 0.1.0
 */
import { Bytes } from "effect"
import { gunzipSync } from "node:zlib"
import { header } from "../../services/RoutedRequest.ts"
import type { AnswerSink, SimulatedRequest } from "./reply.ts"

/**
 * As `handle`. A compressed answer is given to the sink when it is complete.
 *
 * @category combinators
 * @since 0.1.0
 */
export const plain =
  (server: { readonly handle: (request: SimulatedRequest, sink: AnswerSink) => void }) =>
  (request: SimulatedRequest, sink: AnswerSink): void => {
    let compressed: Array<Uint8Array> | undefined
    server.handle(request, {
      open: (upstream) => sink.open(upstream),
      head: (status, rawHeaders) => {
        if (header(rawHeaders, "content-encoding") === "gzip") compressed = []
        sink.head(status, rawHeaders)
      },
      data: (chunk) => {
        if (compressed === undefined) sink.data(chunk)
        else compressed.push(chunk)
      },
      end: () => {
        if (compressed !== undefined) sink.data(new Uint8Array(gunzipSync(Bytes.concat(compressed))))
        sink.end()
      },
      fail: (reason, description) => sink.fail(reason, description),
    })
  }
