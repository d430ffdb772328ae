/** A transport that answers from a function, without sockets. */
import { Effect, Layer } from "effect"
import type { Backend } from "../../src/services/Fleet.ts"
import { type Call, Transport, TransportError } from "../../src/services/Transport.ts"

export interface Canned {
  readonly status?: number
  readonly body: string
  readonly type?: string
}

/** The answer to each call: `undefined` refuses the connection; `"silence"` never answers. */
export const cannedTransport = (
  answer: (backend: Backend, call: Call) => Canned | "silence" | undefined,
): Layer.Layer<Transport> =>
  Layer.succeed(Transport, {
    send: (backend, call, to) => {
      const canned = answer(backend, call)
      if (canned === "silence") return to.open({ pause: () => {}, resume: () => {}, abort: () => {} })
      if (canned === undefined) {
        return to.fail(new TransportError({ reason: "Refused", backend: backend.id, description: "refused" }))
      }
      const { body, status = 200, type = "application/json; charset=utf-8" } = canned
      Effect.runFork(Effect.sync(() => {
        to.head(status, ["Content-Type", type])
        // In two chunks, because a reader must not rely on one.
        const bytes = new TextEncoder().encode(body)
        to.data(bytes.slice(0, 5))
        to.data(bytes.slice(5))
        to.end()
      }))
    },
  })
