/** Many identical chats and many single embeddings at the same time, through the reference server over real sockets. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Fault } from "../../src/simulated/SimulatedFleet.ts"
import * as SimulatedOllamaServer from "../../src/simulated/SimulatedOllamaServer.ts"
import { post } from "../support/load.ts"
import { prints, runtimes, start } from "../support/processes.ts"

const chat = { model: "tiny-eos", messages: [{ role: "user", content: "hi" }], options: { temperature: 0 } }
const embed = (input: string) => ({ model: "tiny-embed", input })

/** A chat takes twelve seconds: even on a busy machine, a hundred clients join within half of it. */
const slow = { decodeRate: 4 }

const metric = (text: string, name: string): number =>
  text.split("\n")
    .filter((line) => line.startsWith(name))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0)

const poll = async (isTrue: () => boolean | Promise<boolean>) => {
  while (!(await isTrue())) await new Promise((done) => setTimeout(done, 20))
}

const active = async (url: string) => metric(await (await fetch(`${url}/metrics`)).text(), "llamero_active_requests")

const router = (backend: string, runtime: keyof typeof runtimes) =>
  Effect.gen(function* () {
    const running = yield* start([...runtimes[runtime], "src/command/serve/server.ts"], {
      LLAMERO_BACKENDS: backend,
      LLAMERO_PORT: "0",
      LLAMERO_PREWARM: "tiny-eos,tiny-embed",
      LLAMERO_QUEUE_DEADLINE: "5m",
      LLAMERO_LOG_LEVEL: "Warn",
    })
    const [, url = ""] = yield* prints(running, /istening on (http:\/\/[\d.]+:\d+)/)
    yield* Effect.promise(() => poll(async () => (await fetch(`${url}/readyz`)).status === 200))
    return url
  })

const said = (text: string): unknown => {
  const { embeddings, model } = JSON.parse(text)
  return { embeddings, model }
}

for (const runtime of ["node", "deno"] as const) {
  describe(`coalescing, ${runtime}`, () => {
    it.live(
      "100 identical chats, the first is killed half way: one call, 99 equal whole answers",
      () =>
        Effect.scoped(Effect.gen(function* () {
          const { server, url: backend } = yield* SimulatedOllamaServer.make(slow)
          const url = yield* router(backend, runtime)
          yield* Effect.promise(async () => {
            const before = server.calls.length
            const chats = () => server.calls.slice(before).filter(({ path }) => path === "/api/chat")
            const leave = new AbortController()
            const first = post(`${url}/api/chat`, chat, leave.signal)
            await poll(() => (chats()[0]?.tokens ?? 0) > 0)
            const others = Array.from({ length: 99 }, () => post(`${url}/api/chat`, chat))
            await poll(async () => (await active(url)) === 100)
            leave.abort()
            assert.match((await first).thrown ?? "", /abort/i)
            const answers = await Promise.all(others)
            assert.lengthOf(chats(), 1)
            assert.strictEqual(chats()[0]!.state, "done")
            for (const answer of answers) {
              assert.isTrue(answer.whole)
              assert.strictEqual(answer.text, answers[0]!.text)
            }
            const told = await (await fetch(`${url}/metrics`)).text()
            // One of the remaining clients counts as the leader of the call.
            assert.strictEqual(metric(told, "llamero_coalesced_total"), 98)
            assert.strictEqual(metric(told, "llamero_leases"), 0)
          })
        })),
      60_000,
    )

    it.live(
      "1,000 single embeddings at once: at most 32 calls, each answer that of a direct call",
      () =>
        Effect.scoped(Effect.gen(function* () {
          const { server, url: backend } = yield* SimulatedOllamaServer.make()
          const url = yield* router(backend, runtime)
          yield* Effect.promise(async () => {
            const before = server.calls.length
            const embeds = () => server.calls.slice(before).filter(({ path }) => path === "/api/embed")
            // One request hangs and holds the only slot until all the others have come.
            server.faults.set(Fault.hang, { path: "/api/embed", times: 1 })
            const leave = new AbortController()
            const first = post(`${url}/api/embed`, embed("first"), leave.signal)
            await poll(() => embeds().length === 1)
            const all = Array.from({ length: 1000 }, (_, i) => post(`${url}/api/embed`, embed(`text ${i}`)))
            await poll(async () => (await active(url)) === 1001)
            leave.abort()
            await first
            const answers = await Promise.all(all)
            assert.isAtMost(embeds().length, 32)
            const direct = await post(`${backend}/api/embed`, {
              model: "tiny-embed",
              input: Array.from({ length: 1000 }, (_, i) => `text ${i}`),
            })
            const { embeddings } = JSON.parse(direct.text) as { embeddings: ReadonlyArray<unknown> }
            for (const [i, answer] of answers.entries()) {
              assert.strictEqual(answer.status, 200, answer.text)
              assert.deepStrictEqual(said(answer.text), { embeddings: [embeddings[i]], model: "tiny-embed" })
            }
          })
        })),
      60_000,
    )
  })
}
