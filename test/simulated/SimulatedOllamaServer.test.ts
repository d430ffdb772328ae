/** The simulated Ollama on a port: with the official client, and where only a socket shows a difference. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Ollama } from "ollama"
import { request } from "node:http"
import { connect } from "node:net"
import { Fault, Model } from "../../src/simulated/SimulatedFleet.ts"
import * as SimulatedOllamaServer from "../../src/simulated/SimulatedOllamaServer.ts"

const client = (url: string) => new Ollama({ host: url })

const call = <A>(make: () => Promise<A>) => Effect.promise(make)

/** The error of a call. */
const failure = (make: () => Promise<unknown>) =>
  Effect.promise(() => make().then(() => undefined, (error: Error & { status_code?: number }) => error))

const until = Effect.fnUntraced(function* (holds: () => boolean) {
  for (let tries = 0; tries < 400 && !holds(); tries++) yield* Effect.sleep(5)
  assert.isTrue(holds())
})

describe("the official client", () => {
  it.live("generates, chats, embeds, lists and shows", () =>
    Effect.gen(function* () {
      const { url } = yield* SimulatedOllamaServer.make({ models: Model.tinyModels })
      const ollama = client(url)
      const generated = yield* call(() => ollama.generate({ model: "tiny-eos", prompt: "hi" }))
      assert.isTrue(generated.response?.startsWith(" word00 word01") && generated.response.endsWith(" word47"))
      const words = yield* call(async () => {
        const made: Array<string> = []
        const stream = await ollama.chat({
          model: "tiny-eos",
          messages: [{ role: "user", content: "hi" }],
          stream: true,
        })
        for await (const { message } of stream) made.push(message.content)
        return made
      })
      assert.lengthOf(words, 49)
      const { embeddings } = yield* call(() => ollama.embed({ model: "tiny-embed", input: ["a", "b", "a"] }))
      assert.deepStrictEqual(embeddings[0], embeddings[2])
      assert.notDeepEqual(embeddings[0], embeddings[1])
      assert.closeTo(Math.hypot(...embeddings[0]!), 1, 1e-6)
      const { models } = yield* call(() => ollama.list())
      assert.deepStrictEqual(models.map(({ name }) => name), [
        "tiny-eos:latest",
        "tiny-loop:latest",
        "tiny-b:latest",
        "tiny-embed:latest",
      ])
      const running = yield* call(() => ollama.ps())
      assert.lengthOf(running.models, 2)
      const shown = yield* call(() => ollama.show({ model: "tiny-eos" }))
      assert.include(shown.modelfile, `FROM /models/blobs/sha256-${Model.tinyEos.blob}`)
      assert.strictEqual((yield* call(() => ollama.version())).version, "0.33.0-rc2")
    }))

  it.live("pulls, creates, copies and deletes", () =>
    Effect.gen(function* () {
      const { url, server } = yield* SimulatedOllamaServer.make({ pullable: [Model.model({ name: "new" })] })
      const ollama = client(url)
      assert.strictEqual((yield* call(() => ollama.pull({ model: "new" }))).status, "success")
      const lines = yield* call(async () => {
        const made: Array<string> = []
        for await (
          const { status } of await ollama.create({ model: "mine", from: "new", system: "be", stream: true })
        ) {
          made.push(status)
        }
        return made
      })
      assert.strictEqual(lines.at(-1), "success")
      yield* call(() => ollama.copy({ source: "mine", destination: "yours" }))
      yield* call(() => ollama.delete({ model: "mine" }))
      const { models } = yield* call(() => ollama.list())
      assert.includeMembers(models.map(({ name }) => name), ["new:latest", "yours:latest"])
      assert.notInclude(models.map(({ name }) => name), "mine:latest")
      assert.strictEqual(server.disk.find("yours")?.blob, server.disk.find("new")?.blob)
      const missing = yield* failure(() => ollama.pull({ model: "nowhere" }))
      assert.include(missing?.message, "file does not exist")
    }))

  it.live("sees the same errors as from a real server", () =>
    Effect.gen(function* () {
      const { url, server } = yield* SimulatedOllamaServer.make()
      const ollama = client(url)
      const missing = yield* failure(() => ollama.generate({ model: "nope", prompt: "x" }))
      assert.deepStrictEqual([missing?.message, missing?.status_code], ["model 'nope' not found", 404])
      server.script(Fault.truncate(2), { times: 1 })
      const cut = yield* failure(async () => {
        for await (const _ of await ollama.generate({ model: "tiny-eos", prompt: "hi", stream: true })) {
          /** Read on. */
        }
      })
      assert.include(cut?.message, "Did not receive done")
      server.script(Fault.crash(2), { times: 1 })
      const crashed = yield* failure(async () => {
        for await (const _ of await ollama.generate({ model: "tiny-eos", prompt: "hi", stream: true })) {
          /** Read on. */
        }
      })
      assert.include(crashed?.message, "unexpected EOF")
    }))

  it.live("stops the generation by aborting", () =>
    Effect.gen(function* () {
      const { url, server } = yield* SimulatedOllamaServer.make({ decodeRate: 200 })
      const ollama = client(url)
      const aborted = yield* failure(async () => {
        const stream = await ollama.generate({ model: "tiny-loop", prompt: "hi", stream: true })
        let count = 0
        for await (const _ of stream) if (++count === 3) stream.abort()
      })
      assert.strictEqual(aborted?.name, "AbortError")
      yield* until(() => server.open === 0)
      // The model never ends by itself.
      assert.strictEqual(server.calls.at(-1)?.state, "aborted")
    }))
})

/** Sends bytes and returns how the socket ended. */
const raw = (url: string, text: string) =>
  Effect.promise(() =>
    new Promise<{ readonly text: string; readonly error: string | undefined }>((resolve) => {
      const { hostname, port } = new URL(url)
      const socket = connect(Number(port), hostname, () => socket.write(text))
      let heard = ""
      let error: string | undefined
      socket.on("data", (chunk) => heard += chunk.toString("latin1"))
      socket.on("error", (problem) => error = (problem as Error & { code?: string }).code)
      socket.on("close", () => resolve({ text: heard, error }))
    })
  )

const get = "GET /api/version HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"

describe("on a socket", () => {
  it.live("resets, refuses and sends garbage", () =>
    Effect.gen(function* () {
      const { url, server } = yield* SimulatedOllamaServer.make()
      for (const fault of [Fault.reset(), Fault.refuse]) {
        server.script(fault, { times: 1 })
        assert.strictEqual((yield* raw(url, get)).text, "")
      }
      server.script(Fault.garbage, { times: 1 })
      const garbage = yield* raw(url, get)
      assert.isTrue(garbage.text !== "" && !garbage.text.startsWith("HTTP"))
      assert.include((yield* raw(url, get)).text, `{"version":"0.33.0-rc2"}`)
    }))

  it.live("has no headers of its own", () =>
    Effect.gen(function* () {
      const { url } = yield* SimulatedOllamaServer.make()
      const { text } = yield* raw(url, get)
      const names = text.split("\r\n\r\n")[0]!.split("\r\n").slice(1).map((line) => line.split(":")[0])
      assert.includeMembers(["Content-Type", "Date", "Content-Length", "Connection"], names)
    }))

  it.live("goes down and comes up on the same port", () =>
    Effect.gen(function* () {
      const { url, server } = yield* SimulatedOllamaServer.make({ decodeRate: 100 })
      const ollama = client(url)
      const running = failure(() => ollama.generate({ model: "tiny-loop", prompt: "hi" }))
      const fiber = yield* Effect.forkChild(running, { startImmediately: true })
      yield* until(() => server.open === 1)
      server.down()
      yield* until(() => fiber.pollUnsafe() !== undefined)
      assert.isDefined(yield* failure(() => ollama.version()))
      server.up()
      assert.strictEqual((yield* call(() => ollama.version())).version, "0.33.0-rc2")
    }))

  it.live("a client that does not read holds its slot until it closes the connection", () =>
    Effect.gen(function* () {
      const { url, server } = yield* SimulatedOllamaServer.make()
      const { hostname, port } = new URL(url)
      const stalled = request({ hostname, port, path: "/api/generate", method: "POST", agent: false })
      stalled.on("error", () => {})
      stalled.on("response", (response) => response.pause())
      stalled.end(JSON.stringify({ model: "tiny-loop", prompt: "hi" }))
      // Until every buffer between server and client is full.
      let before = -1
      yield* until(() => (server.calls[0]?.tokens ?? 0) > 0)
      while (before !== server.calls[0]!.tokens) {
        before = server.calls[0]!.tokens
        yield* Effect.sleep(200)
      }
      assert.strictEqual(server.resident[0]?.active, 1)
      const next = yield* Effect.forkChild(
        call(() => client(url).generate({ model: "tiny-loop", prompt: "hi", options: { num_predict: 1 } })),
        { startImmediately: true },
      )
      yield* until(() => server.resident[0]?.waiting === 1)
      stalled.destroy()
      yield* until(() => next.pollUnsafe() !== undefined)
    }))
})
