/** The answers of the router that cover the whole fleet. */
import { Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import * as RouterMetrics from "../../src/layers/events/RouterMetrics.ts"
import * as PollingBackendHealth from "../../src/layers/health/PollingBackendHealth.ts"
import * as PollingResidency from "../../src/layers/memory/residency/PollingResidency.ts"
import * as HealthRoutes from "../../src/layers/routes/HealthRoutes.ts"
import * as MetricsRoutes from "../../src/layers/routes/MetricsRoutes.ts"
import * as OllamaRoutes from "../../src/layers/routes/OllamaRoutes.ts"
import * as Standard from "../../src/layers/Standard.ts"
import { RouterEvents } from "../../src/services/RouterEvents.ts"
import { api, fleet, ids, makeCatalog, quiet, transport } from "./fleet.ts"
import { job, pause, type Row, rowOf } from "./measure.ts"

const interval = "1 day"

/** What is counted of each backend: one failed attempt with each of 20 causes, as after a bad day. */
const counted = Effect.gen(function* () {
  const events = yield* RouterEvents
  for (const backend of ids) {
    for (let i = 0; i < 20; i++) {
      events.publish({ _tag: "AttemptFailed", at: 0, backend, cause: `cause-${i}`, id: "x", model: "m" } as never)
    }
    events.flush()
  }
})

export const lists = async (): Promise<ReadonlyArray<Row>> => {
  const stack = Standard.layer({
    catalog: makeCatalog().layer,
    health: PollingBackendHealth.layer({ interval }),
    residency: PollingResidency.layer({ interval }),
  })
  const routes = Layer.mergeAll(MetricsRoutes.layer, HealthRoutes.layer, OllamaRoutes.layer()).pipe(
    Layer.provide(Layer.effectDiscard(counted)),
    Layer.provideMerge(RouterMetrics.layer),
    Layer.provide(stack),
    Layer.provide(Layer.mergeAll(fleet, api, transport, quiet)),
  )
  const { dispose, handler } = HttpRouter.toWebHandler(routes as never, { disableLogger: true })
  let bytes = 0
  const get = (path: string) => async (): Promise<void> => {
    const answer = await (handler as (request: Request) => Promise<Response>)(new Request(`http://router${path}`))
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status}`)
    bytes = (await answer.arrayBuffer()).byteLength
  }
  await get("/livez")()
  for (let i = 0; i < 1000; i++) await pause()
  const rows: Array<Row> = []
  for (const path of ["/metrics", "/healthz", "/api/tags", "/api/ps"]) {
    rows.push(...await job(path, 5, get(path)))
    rows.push(rowOf(`${path}: size`, "MiB", [bytes / 2 ** 20]))
  }
  await dispose()
  return rows
}
