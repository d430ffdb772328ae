/** Compressed bodies count with the bytes that they have once decoded, while they are decoded, on both servers. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib"
import * as NodeServer from "../../../src/layers/server/NodeServer.ts"
import * as WebServer from "../../../src/layers/server/WebServer.ts"
import { until } from "../../../src/testing/sinks.ts"
import { bytes, router } from "../../wire/support.ts"

const app = HttpRouter.add("GET", "/hello", HttpServerResponse.text("hello"))
const mib = 1024 * 1024
const limits = { bodyBytesMax: 9 * mib, heldBytesMax: 16 * mib }

const body = bytes(JSON.stringify({ model: "x", prompt: "x".repeat(8 * mib) }))
const packed = {
  gzip: gzipSync(body),
  deflate: deflateSync(body),
  br: brotliCompressSync(body),
  zstd: zstdCompressSync(body),
} as const
type Encoding = keyof typeof packed
const bomb = gzipSync(Buffer.alloc(64 * mib))

type Post = (body: Uint8Array, encoding: string | undefined, signal: AbortSignal) => Promise<Response>

/** A server whose requests never end by themselves. */
const servers: ReadonlyArray<
  readonly [
    string,
    Effect.Effect<
      { readonly seen: ReturnType<typeof router>["seen"]; readonly active: () => number; readonly post: Post },
      unknown,
      import("effect").Scope.Scope
    >,
  ]
> = [
  [
    "NodeServer",
    Effect.gen(function* () {
      const made = router(() => Effect.never)
      const context = yield* Layer.build(
        NodeServer.layer(app, { port: 0, drainTimeout: "50 millis", ...limits }).pipe(Layer.provide(made.layer)),
      )
      const server = yield* Effect.provideContext(NodeServer.NodeServer, context)
      const post: Post = (body, encoding, signal) =>
        fetch(`${server.url}/api/generate`, {
          method: "POST",
          body: body as Uint8Array<ArrayBuffer>,
          signal,
          headers: encoding === undefined ? {} : { "Content-Encoding": encoding },
        })
      return { seen: made.seen, active: server.active, post }
    }),
  ],
  [
    "WebServer",
    Effect.gen(function* () {
      const made = router(() => Effect.never)
      const web = yield* Effect.acquireRelease(
        Effect.sync(() => WebServer.toFetch(app, made.layer, limits)),
        (web) => Effect.promise(() => web.dispose()),
      )
      const post: Post = (body, encoding, signal) =>
        web.fetch(
          new Request("http://llamero.local/api/generate", {
            method: "POST",
            body: body as Uint8Array<ArrayBuffer>,
            signal,
            headers: encoding === undefined ? {} : { "Content-Encoding": encoding },
          }),
        )
      return { seen: made.seen, active: web.active, post }
    }),
  ],
]

/** Sends bodies at the same time. Gives the refusals, and waits until the rest has reached the router. */
const send = (
  { active, post, seen }: { readonly seen: ReturnType<typeof router>["seen"]; active: () => number; post: Post },
  bodies: ReadonlyArray<readonly [Uint8Array, string | undefined]>,
) =>
  Effect.gen(function* () {
    const abort = new AbortController()
    const refused: Array<readonly [number, string | null]> = []
    const ended: Array<Promise<unknown>> = []
    for (const [body, encoding] of bodies) {
      ended.push(
        post(body, encoding, abort.signal).then((response) => {
          refused.push([response.status, response.headers.get("retry-after")])
          return response.text()
        }, () => {}),
      )
    }
    const before = seen.requests.length
    yield* until(() => seen.requests.length - before + refused.length === bodies.length, "an end of each")
    const reached = seen.requests.length - before
    assert.strictEqual(seen.active, reached)
    const leave = Effect.gen(function* () {
      abort.abort()
      yield* Effect.promise(() => Promise.allSettled(ended))
      yield* until(() => active() === 0 && seen.active === 0, "nothing under way")
    })
    return { refused, reached, leave }
  })

describe.each(servers)("%s: compressed bodies", (_title, make) => {
  it.live("20 small ones that are 8 MiB each hold no more than 16 MiB", () =>
    Effect.gen(function* () {
      const server = yield* make
      const encodings = Object.keys(packed) as ReadonlyArray<Encoding>
      const bodies = Array.from({ length: 20 }, (_, i) => {
        const encoding = encodings[i % encodings.length]!
        return [packed[encoding], encoding] as const
      })
      const { leave, reached, refused } = yield* send(server, bodies)
      assert.strictEqual(reached, 1)
      assert.deepStrictEqual(refused, Array.from({ length: 19 }, () => [503, "1"] as const))
      yield* leave
      // All is released: two times a body that leaves no room for another one.
      for (let i = 0; i < 2; i++) {
        const next = yield* send(server, [[body, undefined], [packed.gzip, "gzip"]])
        assert.deepStrictEqual([next.reached, next.refused], [1, [[503, "1"]]])
        yield* next.leave
      }
    }))

  it.live("one above the limit of a body is refused with 413, and holds nothing then", () =>
    Effect.gen(function* () {
      const server = yield* make
      const { refused } = yield* send(server, Array.from({ length: 8 }, () => [bomb, "gzip"] as const))
      for (const [status] of refused) assert.include([413, 503], status)
      assert.include(refused.map(([status]) => status), 413)
      const broken = yield* send(server, [[packed.gzip.subarray(0, -9), "gzip"], [bytes("{}"), "zstd"]])
      assert.deepStrictEqual(broken.refused.map(([status]) => status), [400, 400])
      const next = yield* send(server, [[packed.zstd, "zstd"]])
      assert.strictEqual(next.reached, 1)
      yield* next.leave
    }))

  it.live("a client that leaves while its body is decoded holds nothing", () =>
    Effect.gen(function* () {
      const server = yield* make
      for (let i = 0; i < 10; i++) {
        const abort = new AbortController()
        const asked = Array.from({ length: 6 }, () => server.post(packed.gzip, "gzip", abort.signal).catch(() => {}))
        for (let turn = 0; turn < 8 * i; turn++) yield* Effect.promise(() => new Promise(setImmediate))
        abort.abort()
        yield* Effect.promise(() => Promise.all(asked))
        yield* until(() => server.active() === 0 && server.seen.active === 0, "nothing under way")
      }
      const next = yield* send(server, [[packed.br, "br"]])
      assert.strictEqual(next.reached, 1)
      yield* next.leave
    }), 30_000)
})
