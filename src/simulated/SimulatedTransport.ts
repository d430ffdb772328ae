/**
 * `Transport` to a simulated fleet, without sockets.
 *
 * @since 0.1.0
 */
import { Effect, Layer } from "effect"
import { withAccess } from "../services/BackendAccess.ts"
import { type ByteSink, Transport, TransportError, type TransportReason } from "../services/Transport.ts"
import type { AnswerSink } from "./http/reply.ts"
import { SimulatedFleet } from "./SimulatedFleet.ts"

const toSink = (backend: string, to: ByteSink, came: (bytes: number) => void): AnswerSink => ({
  open: (upstream) => to.open(upstream),
  head: (status, rawHeaders) => to.head(status, rawHeaders),
  data: (chunk) => {
    came(chunk.length)
    to.data(chunk)
  },
  end: () => to.end(),
  fail: (reason, description) => to.fail(error(backend, reason, description)),
})

const error = (backend: string, reason: TransportReason, description: string): TransportError =>
  new TransportError({ reason, backend, description })

/**
 * Sends calls to the simulated servers. The URL of no server refuses connections.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Transport, never, SimulatedFleet> = Layer.effect(
  Transport,
  Effect.map(SimulatedFleet, ({ servers }) => {
    const received = new Map(Array.from(servers.keys(), (url) => [url, 0]))
    return Transport.of({
      send: (backend, call, to) => {
        const { access, id, url } = backend
        const server = servers.get(url)
        if (server === undefined) return to.fail(error(id, "Refused", "connection refused"))
        const came = (bytes: number): void => void received.set(url, (received.get(url) ?? 0) + bytes)
        server.handle({ ...call, headers: withAccess(call.headers, access) }, toSink(id, to, came))
      },
      received: ({ url }) => received.get(url) ?? 0,
    })
  }),
)
