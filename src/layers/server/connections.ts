/**
 * Counts the open connections of a `node:http` server.
 *
 * @since 0.1.0
 */
import { Effect, Metric, type Scope } from "effect"
import type { Server } from "node:http"

const connections = Metric.gauge("llamero_connections", {
  description: "Open connections of clients, idle ones included",
})

/** Keeps the gauge of these servers together in the `MetricRegistry`, until the scope closes. @internal */
export const measure = Effect.fnUntraced(function* (
  servers: ReadonlyArray<Server>,
): Effect.fn.Return<void, never, Scope.Scope> {
  let open = 0
  for (const server of servers) {
    server.on("connection", (socket) => {
      open++
      socket.once("close", () => open--)
    })
  }
  const registration = Metric.registerUnsafe(connections, yield* Effect.context<never>(), {
    get: () => ({ value: open }),
    update: () => {},
    modify: () => {},
  })
  yield* Effect.addFinalizer(() => Effect.sync(() => registration.remove()))
})
