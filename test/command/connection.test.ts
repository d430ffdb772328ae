/** What a command says when the router is not there, is another program, or does not let it in. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { createServer, type RequestListener } from "node:http"
import type { AddressInfo } from "node:net"
import * as Settings from "../../src/layers/Settings.ts"
import * as SimulatedOllamaServer from "../../src/simulated/SimulatedOllamaServer.ts"
import { run } from "../support/llamero.ts"
import { serve, token } from "../support/statusFleet.ts"

const commands = [
  "models",
  "ps",
  "backends",
  "queues",
  "decisions",
  "decisions --why x",
  "changes",
  "drain x",
  "undrain x",
  "isolate x",
  "load x y",
  "unload x y",
  "pin x y",
  "unpin x y",
  "prewarm",
  "prewarm x y",
  "reload",
  "log",
  "log --level info",
  "top --once",
  "top",
]

const listening = (listener: RequestListener): Effect.Effect<string, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createServer>>((resume) => {
        const server = createServer(listener)
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        }),
    ),
    (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  )

/** A port on which nothing listens. */
const nowhere = Effect.scoped(listening(() => {}))

describe("each command that asks a router", () => {
  it.live.each(commands)(
    "%s: no router, no token, a wrong token; nothing on the standard output",
    (command) =>
      Effect.gen(function* () {
        const url = yield* nowhere
        for (const line of [command, `${command} --json`]) {
          const ran = yield* run(line, { LLAMERO_URL: url, LLAMERO_ADMIN_TOKEN: token })
          assert.deepStrictEqual([ran.status, ran.out], [1, ""])
          assert.match(
            ran.err,
            new RegExp(`^No router answers at ${url}: the connection was refused\\.\\n {2}Start one with`),
          )
        }
        const router = yield* serve({ backends: 1 })
        const none = yield* run(command, { LLAMERO_URL: router.url })
        assert.deepStrictEqual([none.status, none.out], [1, ""])
        assert.match(none.err, /^The router at \S+ asks for the admin token\. Set LLAMERO_ADMIN_TOKEN /)
        const wrong = yield* run(`${command} --url ${router.url} --token not-the-token-of-this-one`)
        assert.deepStrictEqual([wrong.status, wrong.out], [1, ""])
        assert.match(wrong.err, /^The router at \S+ does not take this token \(a token is needed\)\. /)
        assert.notInclude(wrong.err + wrong.out, "not-the-token")
      }),
    60_000,
  )
})

describe("what answers is not a router, or not this one", () => {
  const ask = (url: string) => run("backends --json", { LLAMERO_URL: url, LLAMERO_ADMIN_TOKEN: token })

  it.live("the admin API is off", () =>
    Effect.gen(function* () {
      const { url } = yield* serve({ backends: 1, env: { LLAMERO_ADMIN_TOKEN: "", LLAMERO_DECISIONS: "0" } })
      const { err, status } = yield* ask(url)
      assert.strictEqual(status, 1)
      assert.match(err, /^The admin API of the router at \S+ is off\. Start the router with LLAMERO_ADMIN_TOKEN/)
    }))

  it.live("an Ollama", () =>
    Effect.gen(function* () {
      const { url } = yield* SimulatedOllamaServer.make()
      const { err, status } = yield* ask(url)
      assert.strictEqual(status, 1)
      assert.match(err, /^What answers at \S+ is no llamero router\./)
    }))

  it.live("a router that is older: it has an admin API without this call", () =>
    Effect.gen(function* () {
      const url = yield* listening(({ url }, answer) => {
        if (url === "/admin/openapi.json") return void answer.end("{}")
        answer.statusCode = 404
        answer.end("404 page not found")
      })
      const { err, status } = yield* ask(url)
      assert.strictEqual(status, 1)
      assert.match(err, /^The router at \S+ does not have \/admin\/backends: it is older than this command\./)
    }))

  it.live.each(
    [
      ["no JSON", 200, "text/html", "<h1>Welcome</h1>", /is not understood/],
      ["other JSON", 200, "application/json", `{"backends":[{"id":1}]}`, /is not understood/],
      ["nothing", 200, "application/json", "", /is not understood/],
      ["an error without words", 500, "text/plain", "oops", /answered 500, which is no answer of a llamero router/],
      ["an error with words", 409, "application/json", `{"error":"not now"}`, /^not now$/],
      ["the error page of a proxy", 502, "text/html", "<h1>Bad gateway</h1>", /answered 502/],
    ] as const,
  )("%s", ([_, status, type, body, words]) =>
    Effect.gen(function* () {
      const url = yield* listening((_, answer) => {
        answer.writeHead(status, { "content-type": type })
        answer.end(body)
      })
      const ran = yield* ask(url)
      assert.deepStrictEqual([ran.status, ran.out], [1, ""])
      assert.match(ran.err, words)
    }))

  it.live("a connection that breaks", () =>
    Effect.gen(function* () {
      const url = yield* listening(({ socket }) => void socket.destroy())
      const ran = yield* ask(url)
      assert.deepStrictEqual([ran.status, ran.out], [1, ""])
      assert.match(ran.err, /^No router answers at /)
    }))
})

describe("where the router is", () => {
  it.live("a flag counts before the environment, a scheme and a slash at the end may be left out", () =>
    Effect.gen(function* () {
      const router = yield* serve({ backends: 1 })
      const env = { LLAMERO_ADMIN_TOKEN: token, LLAMERO_URL: yield* nowhere }
      for (const url of [router.url, `${router.url}/`, router.url.replace("http://", ""), ` ${router.url} `]) {
        const ran = yield* run(["backends", "--url", url], env)
        assert.deepStrictEqual([ran.status, ran.err], [0, ""], url)
      }
      assert.strictEqual((yield* run("backends", { LLAMERO_ADMIN_TOKEN: token, LLAMERO_URL: router.url })).status, 0)
    }))

  it.live("a router under a path of a proxy", () =>
    Effect.gen(function* () {
      const seen: Array<string | undefined> = []
      const url = yield* listening(({ url }, answer) => {
        seen.push(url)
        answer.writeHead(200, { "content-type": "application/json" })
        answer.end(`{"backends":[]}`)
      })
      assert.strictEqual((yield* run(`backends --url ${url}/llamero/ --token t`)).out, "There are no backends.")
      assert.deepStrictEqual(seen, ["/llamero/admin/backends"])
    }))

  it.live.each(
    [
      ["ftp://host", "is no http or https URL"],
      ["http://", "is no URL"],
      ["http://a b", "is no URL"],
      ["http://someone:hidden@host", "has a user"],
    ] as const,
  )("%s is wrong usage, and no password is shown", ([url, why]) =>
    Effect.gen(function* () {
      const ran = yield* run(["backends", "--url", url, "--token", "hush"])
      assert.strictEqual(ran.status, 1)
      assert.include(ran.err, why)
      assert.notMatch(ran.err + ran.out, /hidden|hush/)
    }))

  it("the variable is no misspelt setting of a router in the same shell, and a misspelt one is", () => {
    assert.deepStrictEqual(Settings.unknownNames(["LLAMERO_URL", "LLAMERO_PORT"]), [])
    assert.deepStrictEqual(Settings.unknownNames(["LLAMERO_URLS", "LLAMERO_ULR"]), ["LLAMERO_ULR", "LLAMERO_URLS"])
  })
})
