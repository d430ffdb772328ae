/**
 * `Transport` to a simulated fleet, without sockets.
 *
 * @since 0.1.0
 */
import { Effect, Layer } from "effect"
import { type ByteSink, Transport, TransportError, type TransportReason } from "../services/Transport.ts"
import type { AnswerSink } from "./http/reply.ts"
import { SimulatedFleet } from "./SimulatedFleet.ts"

const toSink = (backend: string, to: ByteSink): AnswerSink => ({
  open: (upstream) => to.open(upstream),
  head: (status, rawHeaders) => to.head(status, rawHeaders),
  data: (chunk) => to.data(chunk),
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
  Effect.map(SimulatedFleet, ({ servers }) =>
    Transport.of({
      send: (backend, call, to) => {
        const server = servers.get(backend.url)
        if (server === undefined) return to.fail(error(backend.id, "Refused", "connection refused"))
        server.handle(call, toSink(backend.id, to))
      },
    })),
)
