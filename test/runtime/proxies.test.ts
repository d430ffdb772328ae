/** The configurations for nginx, Caddy and Traefik, in front of a router. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, References, Schedule } from "effect"
import { FetchHttpClient } from "effect/http"
import { type ClientRequest, createServer, request as connect } from "node:http"
import type { AddressInfo } from "node:net"
import * as StaticFleet from "../../src/layers/fleet/StaticFleet.ts"
import * as OllamaApp from "../../src/layers/OllamaApp.ts"
import * as NodeServer from "../../src/layers/server/NodeServer.ts"
import * as Standard from "../../src/layers/Standard.ts"
import * as HttpOllamaApi from "../../src/layers/transport/HttpOllamaApi.ts"
import * as NodeTransport from "../../src/layers/transport/NodeTransport.ts"
import * as SimulatedOllamaServer from "../../src/simulated/SimulatedOllamaServer.ts"
import type { SimulatedServer } from "../../src/simulated/server.ts"
import { proxies, type Proxy, serve } from "../support/proxies.ts"

for (const { absent, name } of proxies) {
  if (absent !== undefined) console.log(`${name} is not tested in front of the router: ${absent}`)
}

/** A router over a backend with 10 tokens a second: a record comes every 100 ms, and has some 100 bytes. */
class Served extends Context.Service<Served, { readonly router: string; readonly backend: SimulatedServer }>()(
  "test/Served",
) {}

const status = (url: string, init?: RequestInit) =>
  Effect.promise(async () => {
    const response = await fetch(url, init)
    await response.text()
    return response.status
  })

const routing = Effect.fnUntraced(function* (options: Parameters<typeof SimulatedOllamaServer.make>[0]) {
  const backend = yield* SimulatedOllamaServer.make(options)
  const server = NodeServer.layer(OllamaApp.layer(), { host: "127.0.0.1", port: 0 }).pipe(
    Layer.provide(Standard.layer()),
    Layer.provide(StaticFleet.layer([{ url: backend.url, parallelism: 8 }])),
    Layer.provide([NodeTransport.layer(), HttpOllamaApi.layer().pipe(Layer.provide(FetchHttpClient.layer))]),
    Layer.provide(Layer.succeed(References.MinimumLogLevel, "None")),
  )
  const { url } = Context.get(yield* Layer.build(server), NodeServer.NodeServer)
  yield* Effect.repeat(status(`${url}/readyz`), {
    until: (found) => found === 200,
    schedule: Schedule.spaced("20 millis"),
  })
  return { router: url, backend: backend.server }
})
const served = Layer.effect(Served, routing({ decodeRate: 10, parallelism: 8 }))

const endless = { options: { num_predict: 100_000 } }
const paths: Readonly<Record<string, object>> = {
  "/api/generate": { model: "tiny-loop", prompt: "Why?", ...endless },
  "/api/chat": { model: "tiny-loop", messages: [{ role: "user", content: "Why?" }], ...endless },
  "/v1/chat/completions": {
    ...{ model: "tiny-loop", messages: [{ role: "user", content: "Why?" }], stream: true, max_tokens: 100_000 },
  },
}

const post = (url: string, body: object, signal?: AbortSignal) =>
  fetch(url, { method: "POST", body: JSON.stringify(body), ...signal === undefined ? {} : { signal } })

/**
 * The first three pieces of an endless stream, with its content type. Then the client leaves. A proxy that buffers may
 * pass the first piece on at once, with the head of the answer.
 */
const pieces = (url: string, body: object) =>
  Effect.promise(async () => {
    const left = new AbortController()
    const response = await post(url, body, left.signal)
    assert.strictEqual(response.status, 200)
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    const found: Array<string> = []
    while (found.length < 3) found.push((await reader.read()).value ?? "")
    left.abort()
    return { type: response.headers.get("content-type") ?? "", found }
  })

/** A client that leaves before it gets anything: it asks for an answer in one piece, and the backend has begun it. */
const leaves = (url: string, backend: SimulatedServer) =>
  Effect.gen(function* () {
    const left = new AbortController()
    const body = { ...paths["/api/generate"], stream: false }
    const asked = post(`${url}/api/generate`, body, left.signal).then(() => "answered", () => "left")
    yield* Effect.suspend(() => backend.open > 0 ? Effect.void : Effect.fail("not yet")).pipe(
      Effect.retry(Schedule.spaced("20 millis")),
    )
    left.abort()
    assert.strictEqual(yield* Effect.promise(() => asked), "left")
  }).pipe(Effect.orDie)

/** The most records in one piece. */
const recordsMost = (found: ReadonlyArray<string>): number =>
  Math.max(...found.map((text) => text.split("\n").filter((line) => line.trim() !== "").length))

/** The backend generates nothing any more: whoever asked has left. */
const isIdle = (backend: SimulatedServer) =>
  Effect.suspend(() => backend.open === 0 ? Effect.void : Effect.fail(`${backend.open} answers are still made`)).pipe(
    Effect.retry(Schedule.spaced("20 millis")),
    Effect.timeout("5 seconds"),
    Effect.orDie,
  )

/** An image of 6 MB. nginx allows 1 MiB by itself. */
const large = { method: "POST", body: JSON.stringify({ model: "tiny-eos", prompt: "x", images: ["A".repeat(6e6)] }) }

const behaves = (proxy: Proxy) =>
  describe.skipIf(proxy.absent !== undefined)(`${proxy.name} in front`, () => {
    it.layer(served, { timeout: "60 seconds", excludeTestServices: true })((it) => {
      for (const [path, body] of Object.entries(paths)) {
        it.effect(`passes each record of ${path} on as it comes, and stops the generation when the client leaves`, () =>
          Effect.gen(function* () {
            const { backend, router } = yield* Served
            const url = yield* serve(proxy, router)
            const { found, type } = yield* pieces(url + path, body)
            assert.match(type, path.startsWith("/v1") ? /^text\/event-stream/ : /^application\/x-ndjson/)
            assert.isAtMost(recordsMost(found), 5, found.join("\n\n"))
            yield* isIdle(backend)
          }).pipe(Effect.scoped), 60_000)
      }

      it.effect("stops the generation when a client leaves that waits for an answer in one piece", () =>
        Effect.gen(function* () {
          const { backend, router } = yield* Served
          yield* leaves(yield* serve(proxy, router), backend)
          yield* isIdle(backend)
        }).pipe(Effect.scoped), 60_000)

      it.effect("passes large bodies on", () =>
        Effect.gen(function* () {
          const { router } = yield* Served
          const url = yield* serve(proxy, router)
          assert.strictEqual(
            yield* status(`${url}/api/generate`, large),
            yield* status(`${router}/api/generate`, large),
          )
        }).pipe(Effect.scoped), 60_000)

      it.effect("keeps what is for operators from clients", () =>
        Effect.gen(function* () {
          const { router } = yield* Served
          const url = yield* serve(proxy, router)
          assert.strictEqual(yield* status(`${router}/metrics`), 200)
          for (const path of ["/metrics", "/admin/state", "/admin", "/ui", "/ui/", "//metrics", "/x/../metrics"]) {
            assert.include([403, 404], yield* status(url + path), path)
          }
          for (const path of ["/", "/api/tags", "/v1/models", "/readyz"]) {
            assert.strictEqual(yield* status(url + path), 200, path)
          }
        }).pipe(Effect.scoped), 60_000)
    })
  })

for (const proxy of proxies) behaves(proxy)

/** A proxy with two mistakes: it collects 2 KiB before it passes them on, and goes on when the client has left. */
const wrong = (router: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const calls: Array<ClientRequest> = []
      const server = createServer((request, response) => {
        const asked = connect(`${router}${request.url}`, { method: "POST" }, (answer) => {
          response.writeHead(answer.statusCode ?? 502, answer.headers)
          let held = ""
          answer.on("data", (chunk) => {
            held += chunk
            if (held.length < 2048) return
            response.write(held)
            held = ""
          })
          answer.on("end", () => response.end(held))
        })
        calls.push(asked)
        asked.on("error", () => response.destroy())
        request.pipe(asked)
      })
      await new Promise<void>((done) => server.listen(0, "127.0.0.1", done))
      return { calls, server }
    }),
    ({ calls, server }) =>
      Effect.sync(() => {
        server.close().closeAllConnections()
        for (const call of calls) call.destroy()
      }),
  ).pipe(Effect.map(({ server }) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`))

describe("these checks", () => {
  it.live("find a proxy that buffers, and one that goes on when the client has left", () =>
    Effect.gen(function* () {
      const { backend, router } = yield* routing({ decodeRate: 20, parallelism: 8 })
      const url = yield* wrong(router)
      const { found } = yield* pieces(`${url}/api/generate`, paths["/api/generate"]!)
      assert.isAbove(recordsMost(found), 5)
      assert.strictEqual((yield* Effect.exit(isIdle(backend)))._tag, "Failure")
      yield* leaves(url, backend)
      assert.strictEqual((yield* Effect.exit(isIdle(backend)))._tag, "Failure")
    }).pipe(Effect.scoped), 60_000)
})

const seconds = 65
const running = proxies.filter(({ absent }) => absent === undefined)

describe.skipIf(running.length === 0)(`answers that take ${seconds} seconds: usual time-outs are 60`, () => {
  it.live("come whole, whether they stream or not", () =>
    Effect.gen(function* () {
      const [silent, slow] = yield* Effect.all([
        routing({ overhead: `${seconds} seconds`, parallelism: 8 }),
        routing({ decodeRate: 20, parallelism: 8 }),
      ])
      const ask = Effect.fnUntraced(function* (proxy: Proxy) {
        const whole = yield* serve(proxy, silent.router)
        const streamed = yield* serve(proxy, slow.router)
        return yield* Effect.promise(() =>
          Promise.all([
            post(`${whole}/api/generate`, { model: "tiny-eos", prompt: "Why?", stream: false }),
            post(`${streamed}/api/generate`, {
              ...{ model: "tiny-loop", prompt: "Why?", options: { num_predict: 20 * seconds } },
            }),
          ].map(async (asked) => {
            const response = await asked
            return [response.status, (await response.text()).trimEnd().split("\n").at(-1)] as const
          }))
        )
      })
      const answers = yield* Effect.forEach(running, ask, { concurrency: "unbounded" })
      for (const [i, pair] of answers.entries()) {
        for (const [status, last] of pair) {
          assert.strictEqual(status, 200, `${running[i]!.name}: ${last}`)
          assert.include(last, `"done":true`, running[i]!.name)
        }
      }
    }).pipe(Effect.scoped), 150_000)
})
