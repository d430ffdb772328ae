import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { createServer, request as httpRequest } from "node:http"
import type { AddressInfo } from "node:net"
import { NodeReply } from "../../../src/layers/server/NodeReply.ts"
import { refuse } from "../../../src/services/Refusal.ts"
import { bytes, cut, endpoint, random, text, Told } from "../../wire/support.ts"

/** A server that answers each request by running a script on a `NodeReply`, and a client that collects the answer. */
const exchange = (path: string, script: (reply: NodeReply) => Promise<void> | void) =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const server = createServer((incoming, response) => {
      incoming.resume()
      const reply = new NodeReply(response, endpoint(path), "r1", [], clock)
      reply.describe("m", true)
      response.on("close", () => reply.leave())
      void script(reply)
    })
    const port = yield* Effect.acquireRelease(
      Effect.promise(() =>
        new Promise<number>((resolve) => {
          server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port))
        })
      ),
      () =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        }),
    )
    return yield* Effect.promise(() =>
      new Promise<{ status: number; headers: NodeJS.Dict<string | Array<string>>; body: string; whole: boolean }>(
        (resolve) => {
          const sent = httpRequest({ port, host: "127.0.0.1", method: "POST", path, agent: false }, (response) => {
            const parts: Array<Uint8Array> = []
            const done = (whole: boolean) =>
              resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text(parts), whole })
            response.on("data", (part: Uint8Array) => parts.push(part))
            response.on("end", () => done(true))
            response.on("error", () => done(false))
          })
          sent.on("error", () => resolve({ status: 0, headers: {}, body: "", whole: false }))
          sent.end("{}")
        },
      )
    )
  })

const tick = () => new Promise((resolve) => setImmediate(resolve))

describe("NodeReply", () => {
  it.live("gives the client the backend's bytes, however they are cut into chunks", () =>
    Effect.gen(function* () {
      for (let seed = 0; seed < 30; seed++) {
        const rng = random(seed)
        const sent = Array.from(
          { length: rng.below(300) },
          (_, i) => `{"i":${i},"é":"${"x".repeat(rng.below(3000))}"}\n`,
        ).join("")
        const got = yield* exchange("/api/chat", async (reply) => {
          const upstream = new Told()
          reply.open(upstream)
          reply.head(200, ["Content-Type", "application/x-ndjson"])
          for (const chunk of cut(bytes(sent), rng)) {
            reply.data(chunk)
            if (rng.below(50) === 0) await tick()
          }
          reply.end()
        })
        assert.strictEqual(got.body, sent)
        assert.isTrue(got.whole)
      }
    }))

  it.live("keeps the length that the backend declared", () =>
    Effect.gen(function* () {
      const got = yield* exchange("/api/chat", (reply) => {
        reply.head(200, ["Content-Type", "application/json", "Content-Length", "4", "Transfer-Encoding", "chunked"])
        reply.data(bytes("ab"))
        reply.data(bytes("cd"))
        reply.end()
      })
      assert.strictEqual(got.headers["content-length"], "4")
      assert.isUndefined(got.headers["transfer-encoding"])
      assert.strictEqual(got.body, "abcd")
    }))

  it.live("passes on an answer without a body", () =>
    Effect.gen(function* () {
      const got = yield* exchange("/api/chat", (reply) => {
        reply.head(200, ["Content-Length", "0"])
        reply.end()
      })
      assert.strictEqual(got.status, 200)
      assert.strictEqual(got.body, "")
    }))

  it.live("refuses with a status before the head, and with an error record after it", () =>
    Effect.gen(function* () {
      const why = refuse("QueueFull", "busy", { retryAfter: 3 })
      const before = yield* exchange("/api/chat", (reply) => reply.refuse(why))
      assert.strictEqual(before.status, 503)
      assert.strictEqual(before.headers["retry-after"], "3")
      assert.strictEqual(before.body, `{"error":"busy"}`)
      const after = yield* exchange("/v1/chat/completions", (reply) => {
        reply.heartbeat()
        reply.refuse(why)
      })
      assert.strictEqual(after.status, 200)
      assert.match(after.body, /^: keep-alive\n\ndata: \{"error":\{"message":"busy"/)
    }))
})
