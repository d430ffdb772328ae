/** A server on a port, in front of a router that answers as a test chooses. */
import { Effect, Exit, Layer, Scope } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import * as NodeServer from "../../../src/layers/server/NodeServer.ts"
import type { ReplySink } from "../../../src/services/Reply.ts"
import type { RoutedRequest } from "../../../src/services/RoutedRequest.ts"
import type { Settled } from "../../../src/services/Router.ts"
import { answered, bytes, router, Told } from "../../wire/support.ts"

/** The routes besides inference. */
export const app = HttpRouter.add("GET", "/hello", HttpServerResponse.text("hello"))

/** Answers every request with an empty JSON object. */
export const ok = (_request: RoutedRequest, reply: ReplySink): Effect.Effect<Settled> =>
  Effect.sync(() => {
    reply.open(new Told())
    reply.head(200, ["Content-Type", "application/json", "Content-Length", "2"])
    reply.data(bytes("{}"))
    reply.end()
    return answered
  })

/** Serves until the scope of the test closes, or the scope that is given back. */
export const serve = (route = ok, options: NodeServer.Options = {}) =>
  Effect.gen(function* () {
    const made = router(route)
    const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
    const context = yield* Layer.buildWithScope(
      NodeServer.layer(app, { port: 0, drainTimeout: "200 millis", ...options }).pipe(Layer.provide(made.layer)),
      scope,
    )
    const server = yield* Effect.provideContext(NodeServer.NodeServer, context)
    return { ...made, server, scope }
  })
