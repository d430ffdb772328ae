/** The second listener, for clients on this machine that cannot send a key: whom it lets in, and whom not. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { networkInterfaces } from "node:os"
import * as StaticApiKeys from "../../../src/layers/keys/StaticApiKeys.ts"
import * as OllamaApp from "../../../src/layers/OllamaApp.ts"
import * as KeyedRoutes from "../../../src/layers/routes/KeyedRoutes.ts"
import * as NodeServer from "../../../src/layers/server/NodeServer.ts"
import * as ApiKeyGuard from "../../../src/plugins/guards/ApiKeyGuard.ts"
import { RouterEvents } from "../../../src/services/RouterEvents.ts"
import { until } from "../../../src/testing/sinks.ts"
import { over } from "../../support/routers.ts"
import * as Raw from "./raw.ts"

/** A port that nothing listens on now. */
const freePort = Effect.promise(() =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
)

const serve = (local: string | undefined, options: NodeServer.Options = {}) =>
  Effect.gen(function* () {
    const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
    const keys = StaticApiKeys.layer([
      { id: "ops", secret: { key: "sk-ops" }, tenant: "operators", models: ["tiny-eos"] },
      { id: "all", secret: { key: "sk-all" } },
    ])
    const stack = Layer.provideMerge(over({ a: {} }, { guards: [ApiKeyGuard.make({ local })] }), keys)
    const app = Layer.merge(OllamaApp.layer(), KeyedRoutes.layer({ local }))
    const context = yield* Layer.buildWithScope(
      NodeServer.layer(app, { port: 0, drainTimeout: "100 millis", local: { port: 0 }, ...options }).pipe(
        Layer.provideMerge(stack),
      ),
      scope,
    )
    const { localUrl, url } = Context.get(context, NodeServer.NodeServer)
    const ask = (base: string, path: string, headers: Record<string, string> = {}, body?: object) =>
      Effect.promise(async () => {
        const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }
        const response = await fetch(base + path, { ...init, headers })
        return { status: response.status, text: await response.text() }
      })
    const models = (base: string, headers: Record<string, string> = {}) => ask(base, "/api/tags", headers)
    const chat = (base: string, model = "tiny-eos", headers: Record<string, string> = {}) =>
      ask(base, "/api/chat", headers, { model, messages: [{ role: "user", content: "hi" }], stream: false })
    return { ask, models, chat, url, localUrl: localUrl!, scope, events: Context.get(context, RouterEvents) }
  })

describe("the listener for clients on this machine", () => {
  it.live("gives them the rights of one key, and nobody else", () =>
    Effect.gen(function* () {
      const { ask, chat, events, localUrl, models, url } = yield* serve("ops")
      const listed = yield* models(localUrl)
      assert.strictEqual(listed.status, 200)
      assert.deepStrictEqual(JSON.parse(listed.text).models.map(({ name }: { name: string }) => name), [
        "tiny-eos:latest",
      ])
      assert.strictEqual((yield* chat(localUrl)).status, 200)
      const settled = events.recent(50).filter((event) => event._tag === "RequestSettled")
      assert.deepStrictEqual(settled.map(({ tenant }) => tenant), ["operators"])
      // The key is for one model.
      assert.strictEqual((yield* chat(localUrl, "tiny-loop")).status, 403)
      assert.strictEqual((yield* ask(localUrl, "/api/show", {}, { name: "tiny-loop" })).status, 403)
      // A key that is sent counts, also a wrong one.
      const bearer = (key: string) => ({ authorization: `Bearer ${key}` })
      assert.strictEqual((yield* chat(localUrl, "tiny-loop", bearer("sk-no"))).status, 401)
      assert.strictEqual((yield* models(localUrl, bearer("sk-no"))).status, 401)
      assert.isAbove(JSON.parse((yield* models(localUrl, bearer("sk-all"))).text).models.length, 1)
      // The first listener is as it was.
      assert.strictEqual((yield* models(url)).status, 401)
      assert.strictEqual((yield* chat(url)).status, 401)
    }))

  it.live("lets no web page and no proxy in without a key", () =>
    Effect.gen(function* () {
      const { chat, localUrl, models } = yield* serve("ops", { origins: ["*"], hosts: ["*"] })
      const proxies = ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "X-Forwarded-Proto", "X-Forwarded-Host"]
      for (const name of [...proxies, "Origin"]) {
        const headers = { [name]: name === "Origin" ? "http://localhost:3000" : "10.0.0.1" }
        assert.strictEqual((yield* models(localUrl, headers)).status, 401, name)
        assert.strictEqual((yield* chat(localUrl, "tiny-eos", headers)).status, 401, name)
      }
      const port = Number(new URL(localUrl).port)
      // `hosts` opens the first listener only: here a page could have let its name resolve to 127.0.0.1.
      const hosts = [
        ...["evil.example"].map((host) => [host, 403] as const),
        // A page of the local network can have such a name, and a proxy can pass such a `Host` on.
        ...["evil.local", "evil.internal", "192.168.1.7", "[fd00::7]", "[::ffff:10.0.0.1]"].map((host) =>
          [host, 401] as const
        ),
        ...["localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "[::1]", "LOCALHOST"].map((host) =>
          [host, 200] as const
        ),
      ]
      for (const [host, status] of hosts) {
        const raw = yield* Raw.open(port)
        raw.write(`GET /api/tags HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`)
        yield* until(() => raw.received().includes("\r\n\r\n"), "an answer")
        assert.match(raw.received(), new RegExp(`^HTTP/1\\.1 ${status} `), host)
      }
    }))

  it.live("lets nobody in without a key where no key, or one that is not there, is set", () =>
    Effect.gen(function* () {
      for (const local of [undefined, "gone"]) {
        const { chat, localUrl, models } = yield* serve(local)
        assert.strictEqual((yield* models(localUrl)).status, 401)
        const refused = yield* chat(localUrl)
        assert.strictEqual(refused.status, 401)
        assert.match(
          JSON.parse(refused.text).error,
          local === undefined ? /^an API key is needed/ : /^local clients have/,
        )
      }
    }))

  it.live("listens on 127.0.0.1 only, also where the first one is open to all, and closes with it", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      const { localUrl, models, scope } = yield* serve("ops", { host: "0.0.0.0", local: { port } })
      assert.strictEqual(localUrl, `http://127.0.0.1:${port}`)
      assert.strictEqual((yield* models(localUrl)).status, 200)
      const others = Object.values(networkInterfaces()).flatMap((each) => each ?? [])
        .filter(({ family, internal }) => family === "IPv4" && !internal).map(({ address }) => address)
      for (const address of ["127.0.0.2", ...others]) {
        const refused = yield* Effect.promise(() => fetch(`http://${address}:${port}/`).then(() => false, () => true))
        assert.isTrue(refused, address)
      }
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(yield* Effect.promise(() => fetch(localUrl).then(() => false, () => true)))
    }))

  it.live("does not start where the port is taken", () =>
    Effect.gen(function* () {
      const { localUrl } = yield* serve("ops")
      const second = yield* Effect.exit(serve("ops", { local: { port: Number(new URL(localUrl).port) } }))
      assert.isTrue(Exit.isFailure(second))
    }))
})
