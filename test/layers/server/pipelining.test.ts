/** Requests that a client sends on a connection before the answers to earlier ones are over. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import type { ReplySink } from "../../../src/services/Reply.ts"
import type { RoutedRequest } from "../../../src/services/RoutedRequest.ts"
import type { Settled } from "../../../src/services/Router.ts"
import { until } from "../../../src/testing/sinks.ts"
import { answered, bytes, Told } from "../../wire/support.ts"
import { answersIn } from "../../fuzz/answers.ts"
import * as Raw from "./raw.ts"
import { ok, serve } from "./served.ts"

/**
 * Answers the first request in two parts, the second of which waits for `finish`, and the others at once. `more` is
 * sent together with the first request.
 */
const servingWith = Effect.fnUntraced(function* (more: string) {
  const go = yield* Deferred.make<void>()
  let count = 0
  const route = (request: RoutedRequest, reply: ReplySink): Effect.Effect<Settled> => {
    if (++count > 1) return ok(request, reply)
    reply.open(new Told())
    reply.head(200, ["Content-Type", "application/x-ndjson", "Content-Length", "4"])
    reply.data(bytes("1\n"))
    return Effect.as(
      Effect.andThen(
        Deferred.await(go),
        Effect.sync(() => {
          reply.data(bytes("2\n"))
          reply.end()
        }),
      ),
      answered,
    )
  }
  const { seen, server } = yield* serve(route)
  const raw = yield* Raw.open(server.port)
  raw.write(Raw.post("/api/chat", chat) + more)
  yield* until(() => raw.received().includes("1\n"), "the first part")
  return { raw, seen, server, finish: Deferred.succeed(go, undefined) }
})
const serving = servingWith("")

const chat = `{"model":"x","messages":[]}`
const head = (path: string, length: number) =>
  `POST ${path} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: ${length}\r\n\r\n`

/** The server has read what was sent on other connections when it has answered some requests on this one. */
const others = (port: number) =>
  Effect.gen(function* () {
    for (let i = 0; i < 3; i++) {
      const raw = yield* Raw.open(port)
      raw.write("GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
      yield* until(() => raw.received().includes("hello"), "hello")
    }
  })

/** All statuses in their order, interim ones too, of answers whose bodies hold none. */
const statuses = (received: string) =>
  Array.from(received.matchAll(/HTTP\/1\.1 (\d{3})/g), ([, status]) => Number(status))
const answersOf = (raw: Raw.Raw) =>
  answersIn(Buffer.from(raw.received(), "latin1"), raw.closed()).map(({ body, status }) => [status, body] as const)

describe("a request that expects `100 Continue` behind another one", () => {
  const ready: ReadonlyArray<readonly [name: string, path: string, body: string, wanted: readonly [number, RegExp]]> = [
    ["is answered", "/api/chat", chat, [200, /^\{\}$/]],
    ["is refused", "/v1/chat/completions", "nonsense", [400, /^\{"error":\{"message":.*\}\n?$/]],
    ["is for a path that is not there", "/nope", chat, [404, /^$/]],
  ]
  for (const [name, path, body, [status, text]] of ready) {
    it.live(`${name} before its turn: its answer is whole`, () =>
      Effect.gen(function* () {
        const { finish, raw, server } = yield* serving
        raw.write(head(path, body.length) + body)
        yield* others(server.port)
        yield* finish
        yield* until(() => answersOf(raw).length === 2, "two answers")
        yield* until(() => server.active() === 0, "nothing under way")
        const [first, second] = answersOf(raw)
        assert.deepStrictEqual(first, [200, "1\n2\n"])
        assert.strictEqual(second?.[0], status)
        assert.match(second?.[1] ?? "", text)
        assert.deepStrictEqual(statuses(raw.received()).filter((one) => one !== 100), [200, status])
      }))
  }

  it.live("gets it when its turn comes, and sends its body then", () =>
    Effect.gen(function* () {
      const { finish, raw, seen, server } = yield* serving
      raw.write(head("/api/chat", chat.length))
      yield* others(server.port)
      assert.deepStrictEqual(statuses(raw.received()), [200])
      yield* finish
      yield* until(() => raw.received().includes("100 Continue"), "100 Continue")
      raw.write(chat)
      yield* until(() => raw.received().includes("{}"), "the answer")
      yield* until(() => server.active() === 0, "nothing under way")
      assert.deepStrictEqual(statuses(raw.received()), [200, 100, 200])
      assert.deepStrictEqual(answersOf(raw), [[200, "1\n2\n"], [200, "{}"]])
      assert.lengthOf(seen.requests, 2)
    }))

  it.live("gets it at once where no other answer is under way", () =>
    Effect.gen(function* () {
      const { finish, raw, server } = yield* serving
      yield* finish
      yield* until(() => server.active() === 0, "the first has ended")
      raw.write(head("/api/chat", chat.length))
      yield* until(() => raw.received().includes("100 Continue"), "100 Continue")
      raw.write(chat)
      yield* until(() => raw.received().includes("{}"), "the answer")
      assert.deepStrictEqual(statuses(raw.received()), [200, 100, 200])
    }))
})

describe("a client that leaves with a request behind another one", () => {
  const requests: ReadonlyArray<readonly [name: string, sent: string]> = [
    ["whose body has not come", head("/api/chat", 100)],
    ["of whose body a part has come", Raw.post("/api/chat", chat).slice(0, -5)],
    ["that is whole", Raw.post("/api/chat", chat)],
  ]
  for (const isFirstOver of [true, false]) {
    for (const [name, sent] of requests) {
      it.live(`${name} leaves nothing behind, ${isFirstOver ? "after" : "during"} the first answer`, () =>
        Effect.gen(function* () {
          const { finish, raw, server } = yield* servingWith(sent)
          yield* others(server.port)
          if (isFirstOver) {
            yield* finish
            yield* until(() => raw.received().includes("2\n"), "the first answer")
          }
          raw.socket.destroy()
          yield* until(() => server.active() === 0, "nothing under way")
        }))
    }
  }
})
