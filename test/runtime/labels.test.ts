/** Names that clients make up: they become no series, and no memory. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric, References } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as OllamaApp from "../../src/layers/OllamaApp.ts"
import * as PipelineRouter from "../../src/layers/router/PipelineRouter.ts"
import * as WebServer from "../../src/layers/server/WebServer.ts"
import * as OtlpTracing from "../../src/layers/tracing/OtlpTracing.ts"
import * as AccessLogObserver from "../../src/plugins/observers/AccessLogObserver.ts"
import * as DecisionHistory from "../../src/plugins/observers/DecisionHistory.ts"
import * as FailoverRetry from "../../src/plugins/retry/FailoverRetry.ts"
import { over } from "../support/routers.ts"

const stack = () =>
  over({ a: {} }).pipe(
    Layer.provideMerge(Layer.succeed(Metric.MetricRegistry, new Map())),
    Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "None")),
  )

/** Everything that could remember a request: its decision with placements, its spans, its line. */
const watched = () => {
  const history = DecisionHistory.make({ size: 1000 })
  let [exports, lines] = [0, 0]
  const collector = HttpClient.make((request) => {
    exports++
    return Effect.succeed(HttpClientResponse.fromWeb(request, new Response("{}")))
  })
  const layer = over({ a: {} }, {
    router: PipelineRouter.layer({ retry: FailoverRetry.make(), placementsPerSecond: 20 }),
    observers: [history.observer, AccessLogObserver.make({ lines: () => lines++ })],
  }).pipe(
    Layer.provide(OtlpTracing.layer({ url: "http://collector/v1/traces", delayMillis: 20 })),
    Layer.provide(Layer.succeed(HttpClient.HttpClient, collector)),
    Layer.provideMerge(Layer.succeed(Metric.MetricRegistry, new Map())),
    Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "None")),
  )
  return { layer, saw: () => ({ decisions: history.recent(2000).length, exports, lines }) }
}

const paths = ["/api/chat", "/api/generate", "/v1/chat/completions", "/v1/messages", "/v1/embeddings"]

const heap = (): number => {
  setFlagsFromString("--expose-gc")
  const collect: () => void = runInNewContext("gc")
  for (let i = 0; i < 3; i++) collect()
  return process.memoryUsage().heapUsed
}

const turn = () => new Promise<void>((done) => setImmediate(done))

/** 100,000 requests with other names each, after as many that fill what is filled once. */
const bomb = Effect.gen(function* () {
  const { fetch } = yield* WebServer.make(OllamaApp.layer(), { tenantHeader: "x-tenant" })
  const ask = async (path: string, name: string, tenant: string) => {
    const response = await fetch(
      new Request(`http://llamero${path}`, {
        method: "POST",
        headers: { "x-tenant": tenant, "x-request-id": tenant },
        body: JSON.stringify({ model: name, prompt: "x", input: "x", messages: [], max_tokens: 1 }),
      }),
    )
    await response.body?.cancel()
  }
  const metrics = () => fetch(new Request("http://llamero/metrics")).then((response) => response.text())
  const series = async () => (await metrics()).split("\n").filter((line) => /^[a-z]/.test(line)).length
  const send = async (from: number, to: number) => {
    for (let i = from; i < to; i += 10) {
      await Promise.all(Array.from({ length: 10 }, (_, j) => {
        const n = i + j
        // Every other request has an unknown model on a path of Ollama, the others a path that nobody has.
        return n % 2 === 0
          ? ask(paths[n % paths.length]!, `made-up-${n}`, `tenant-${n}`)
          : ask(`/api/made-up-${n}`, `made-up-${n}`, `tenant-${n}`)
      }))
      // Refusals take no turn of the event loop, and those who are told of them would have none.
      await turn()
    }
  }
  yield* Effect.promise(async () => {
    await ask("/api/generate", "tiny-eos", "default")
    const before = await series()
    assert.isAbove(before, 50)
    // What is filled once and then stays: compiled code, the history of events.
    await send(0, 20_000)
    const used = heap()
    await send(20_000, 120_000)
    const grown = heap() - used
    assert.isBelow(grown, 2 * 1024 * 1024, `${grown} bytes`)
    const text = await metrics()
    for (const name of ["made-up", "tenant-"]) assert.isFalse(text.includes(name), `${name} is in a label`)
    const added = await series() - before
    assert.isBelow(added, 50)
    // The requests are counted, so the series are not few because nothing was.
    assert.isAbove(added, 0)
  })
}).pipe(Effect.scoped)

describe("names that clients make up", () => {
  it.live(
    "100,000 models, tenants and paths add under 50 series and no memory",
    () => Effect.provide(bomb, stack()),
    600_000,
  )

  it.live("nor with traces of all requests, decisions and lines", () => {
    const { layer, saw } = watched()
    return Effect.gen(function* () {
      yield* bomb
      for (let i = 0; i < 10; i++) yield* Effect.promise(turn)
      const { decisions, exports, lines } = saw()
      assert.strictEqual(decisions, 1000)
      assert.isAbove(exports, 100)
      assert.isAtLeast(lines, 60_000)
    }).pipe(Effect.provide(layer))
  }, 600_000)
})
