/** The address of a client, by which clients without tenants are told apart. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { request as open } from "node:http"
import * as NodeServer from "../../../src/layers/server/NodeServer.ts"
import * as WebServer from "../../../src/layers/server/WebServer.ts"
import * as Exchange from "../../../src/layers/server/exchange.ts"
import type { ReplySink } from "../../../src/services/Reply.ts"
import { clientOf, type RoutedRequest } from "../../../src/services/RoutedRequest.ts"
import { answered, router, Told } from "../../wire/support.ts"

const app = HttpRouter.add("GET", "/hello", HttpServerResponse.text("hello"))
const chat = `{"model":"x","messages":[{"role":"user","content":"hi"}]}`

/** A router that notes its requests, and answers all. */
const noting = () => {
  const requests: Array<RoutedRequest> = []
  const made = router((request: RoutedRequest, reply: ReplySink) =>
    Effect.sync(() => {
      requests.push(request)
      reply.open(new Told())
      reply.head(200, ["Content-Type", "application/json", "Content-Length", "2"])
      reply.data(new TextEncoder().encode("{}"))
      reply.end()
      return answered
    })
  )
  return { requests, layer: made.layer }
}

const post = (port: number, localAddress: string) =>
  Effect.promise(() =>
    new Promise<number | undefined>((resolve, reject) => {
      const call = open(
        { host: "127.0.0.1", port, localAddress, path: "/api/chat", method: "POST", agent: false },
        (response) => response.resume().on("end", () => resolve(response.statusCode)),
      )
      call.on("error", reject)
      call.end(chat)
    })
  )

describe("the address of a client", () => {
  it.live("is that of its connection", () => {
    const { layer, requests } = noting()
    return Effect.gen(function* () {
      const { port } = yield* NodeServer.NodeServer
      // The whole of 127.0.0.0/8 is this machine, where the system lets a program choose from it.
      const others = process.platform === "linux" ? ["127.0.0.1", "127.0.0.2"] : ["127.0.0.1"]
      for (const address of others) assert.strictEqual(yield* post(port, address), 200)
      assert.deepStrictEqual(requests.map(({ address }) => address), others)
      assert.deepStrictEqual(requests.map(clientOf), others.map((address) => `@${address}`))
    }).pipe(Effect.provide(Layer.provide(NodeServer.layer(app, { port: 0 }), layer)))
  })

  it.effect("is what `deno serve` says, and unknown elsewhere", () => {
    const { layer, requests } = noting()
    return Effect.gen(function* () {
      const { fetch } = yield* WebServer.make(app)
      const infos = [{ remoteAddr: { hostname: "10.0.0.7", port: 1 } }, undefined, {}, { remoteAddr: null }, "env"]
      for (const info of infos) {
        const call = new Request("http://localhost/api/chat", { method: "POST", body: chat })
        assert.strictEqual((yield* Effect.promise(() => fetch(call, info))).status, 200)
      }
      const [, ...unknown] = infos.map(() => undefined)
      assert.deepStrictEqual(requests.map(({ address }) => address), ["10.0.0.7", ...unknown])
    }).pipe(Effect.provide(layer))
  })

  it("does not depend on the protocol that the client chose", () => {
    const plain = ["::ffff:10.0.0.7", "10.0.0.7", "::1", "127.0.0.1", "fd00::1", undefined].map(Exchange.plainAddress)
    assert.deepStrictEqual(plain, ["10.0.0.7", "10.0.0.7", "127.0.0.1", "127.0.0.1", "fd00::1", undefined])
  })
})
