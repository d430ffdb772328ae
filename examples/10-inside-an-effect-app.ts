/**
 * A router inside an Effect app that has its own routes and services, on one port. The GPU is simulated.
 * Run `node examples/10-inside-an-effect-app.ts`.
 */
import { Context, Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import * as L from "llamero"
import { SimulatedFleet, SimulatedOllamaApi, SimulatedTransport } from "llamero/simulated"
import * as NodeMain from "llamero/layers/server/NodeMain"
import * as NodeServer from "llamero/layers/server/NodeServer"
import process from "node:process"

/** A service of the app: it counts the requests of each tenant. The first two of a tenant may pass. */
class Billing extends Context.Service<Billing, {
  readonly charge: (tenant: string) => Effect.Effect<boolean>
  readonly charged: () => ReadonlyMap<string, number>
}>()("Billing") {
  static readonly layer = Layer.sync(Billing, () => {
    const charged = new Map<string, number>()
    return {
      charge: (tenant) =>
        Effect.sync(() => {
          charged.set(tenant, (charged.get(tenant) ?? 0) + 1)
          return charged.get(tenant)! <= 2
        }),
      charged: () => charged,
    }
  })
}

/** A guard that uses the service. The type of the router names `Billing` as a service that it needs. */
const paying: L.Plugin.Guard<Billing> = {
  kind: "guard",
  name: "paying",
  check: (request) =>
    Effect.map(
      Billing.use(({ charge }) => charge(request.tenant)),
      (pays) =>
        pays ? { _tag: "Pass", request } : L.Refusal.refuse("RateLimited", "no credit left", { retryAfter: 60 }),
    ),
}

/** A route of the app: `GET /bill` answers with the number of requests of each tenant. */
const bill = HttpRouter.add(
  "GET",
  "/bill",
  Billing.useSync(({ charged }) => HttpServerResponse.jsonUnsafe(Object.fromEntries(charged()))),
)

const url = "http://gpu-1:11434"
const simulated = Layer.merge(SimulatedTransport.layer, SimulatedOllamaApi.layer).pipe(
  Layer.provide(SimulatedFleet.layer({ [url]: {} })),
)
const app = Layer.merge(L.OllamaApp.layer(), bill)
const server = NodeServer.layer(app, { port: Number(process.env["PORT"] || 11435), tenantHeader: "x-team" }).pipe(
  Layer.tap((context) => Effect.log(`listening on ${Context.get(context, NodeServer.NodeServer).url}`)),
  Layer.provide(L.Standard.layer({ guards: [paying] })),
  Layer.provide([simulated, L.StaticFleet.layer([url]), Billing.layer]),
)
NodeMain.runMain(Layer.launch(server))
