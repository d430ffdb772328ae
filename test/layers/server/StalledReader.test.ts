/** Server, relay and transport over real sockets on both sides: clients that do not read, and clients that leave. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import * as WatchedRelay from "../../../src/layers/relay/WatchedRelay.ts"
import * as NodeServer from "../../../src/layers/server/NodeServer.ts"
import * as NodeTransport from "../../../src/layers/transport/NodeTransport.ts"
import { backend } from "../../../src/services/Fleet.ts"
import type { Outcome } from "../../../src/services/Outcome.ts"
import { Relay } from "../../../src/services/Relay.ts"
import type { ReplySink } from "../../../src/services/Reply.ts"
import type { RoutedRequest } from "../../../src/services/RoutedRequest.ts"
import { until } from "../../../src/testing/sinks.ts"
import { demandFor, modelOn } from "../../support/demands.ts"
import * as Raw from "./raw.ts"
import { answered, router } from "../../wire/support.ts"

const line = `{"response":"${"x".repeat(65_000)}","done":false}\n`
const last = `{"response":"","done":true}\n`
const lines = 320

/** Writes 20 MB as fast as the client reads; for the model `endless`, one line and then nothing. */
const flooding = Effect.gen(function* () {
  const seen = { aborted: 0, whole: 0 }
  const server = createServer((request, response) => {
    let body = ""
    request.on("data", (chunk) => body += chunk)
    request.on("end", () => {
      let left = lines
      response.on("close", () => response.writableFinished ? seen.whole++ : seen.aborted++)
      response.writeHead(200, { "Content-Type": "application/x-ndjson" })
      if (body.includes("endless")) return response.write(line)
      const go = (): void => {
        while (left-- > 0) if (!response.write(line)) return void response.once("drain", go)
        response.end(last)
      }
      go()
    })
  })
  const port = yield* Effect.acquireRelease(
    Effect.promise(() =>
      new Promise<number>((resolve) =>
        server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port))
      )
    ),
    () =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      }),
  )
  return { seen, backend: backend(`http://127.0.0.1:${port}`) }
})

const app = HttpRouter.add("GET", "/hello", HttpServerResponse.text("hello"))

/** A server whose requests all go to one backend. */
const serve = Effect.gen(function* () {
  const { backend, seen } = yield* flooding
  const outcomes: Array<Outcome> = []
  const relayed = yield* Layer.build(
    WatchedRelay.layer({ stallMillis: 500 }).pipe(Layer.provide(NodeTransport.layer())),
  )
  const relay = Context.get(relayed, Relay)
  const route = ({ body, endpoint }: RoutedRequest, reply: ReplySink) => {
    const lease = {
      backend,
      demand: demandFor(modelOn("m:latest", "a")),
      release: (outcome: Outcome) => void outcomes.push(outcome),
    }
    const call = { method: "POST", path: endpoint.upstreamPath, headers: [], body }
    return Effect.as(relay.run(lease, call, { streams: true, streamEnd: endpoint.streamEnd }, reply), answered)
  }
  const served = yield* Layer.build(
    NodeServer.layer(app, { port: 0, drainTimeout: "200 millis" }).pipe(Layer.provide(router(route).layer)),
  )
  return { server: Context.get(served, NodeServer.NodeServer), seen, outcomes, relay }
})

const generate = (model: string) => Raw.post("/api/generate", `{"model":"${model}","prompt":"hi"}`)

describe("a client", () => {
  it.live(
    "that does not read is cut off; its backend is freed and not counted as failed; others get every byte",
    () =>
      Effect.gen(function* () {
        const { outcomes, relay, seen, server } = yield* serve
        const stalled = yield* Raw.open(server.port)
        stalled.socket.pause()
        stalled.write(generate("m"))
        const others = yield* Effect.forEach([1, 2, 3], () => Raw.open(server.port))
        let most = 0
        for (const other of others) {
          other.socket.on("data", () => {
            most = Math.max(most, server.buffered())
          })
          other.write(generate("m"))
        }
        yield* until(() => seen.aborted === 1, "the cut of the one")
        yield* until(() => seen.whole === 3, "the end of the others")
        yield* until(() => others.every((other) => other.received().endsWith("0\r\n\r\n")), "their last chunk")
        yield* until(() => relay.active() === 0 && server.active() === 0)
        assert.deepStrictEqual(outcomes.map(({ kind }) => kind).toSorted(), [
          "ignored",
          "success",
          "success",
          "success",
        ])
        for (const other of others) {
          const text = Raw.unchunked(other.received())
          assert.include(text, `"done":true`)
          assert.strictEqual(text.split(`"done":false`).length - 1, lines)
        }
        // 256 KiB a stream.
        assert.isAtMost(most, 4 * 256 * 1024)
      }),
    30_000,
  )

  it.live("that leaves stops its own generation, and no other", () =>
    Effect.gen(function* () {
      const { outcomes, relay, seen, server } = yield* serve
      const [leaving, staying] = yield* Effect.forEach([1, 2], () => Raw.open(server.port))
      for (const client of [leaving!, staying!]) client.write(generate("endless"))
      yield* until(() => leaving!.packets.length > 0 && staying!.packets.length > 0, "both to begin")
      leaving!.socket.destroy()
      yield* until(() => seen.aborted === 1, "the abort")
      assert.deepStrictEqual(outcomes, [{ kind: "ignored", cause: "client-gone" }])
      assert.strictEqual(relay.active(), 1)
      assert.isFalse(staying!.closed())
    }))
})
