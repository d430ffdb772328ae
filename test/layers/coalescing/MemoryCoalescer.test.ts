import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { identify } from "../../../src/layers/coalescing/key.ts"
import * as MemoryCoalescer from "../../../src/layers/coalescing/MemoryCoalescer.ts"
import { Coalescer, type Lead } from "../../../src/services/Coalescer.ts"
import type { Demand, RoutedRequest } from "../../../src/services/RoutedRequest.ts"
import { answering, contract, joining, same } from "../../../src/testing/contracts/Coalescer.ts"
import { holds } from "../../support/checks.ts"
import { demandFor, modelOn } from "../../support/demands.ts"
import { request } from "../../support/routers.ts"
import { RecordingReply } from "../../support/sinks.ts"

holds("Coalescer contract: memory", contract(MemoryCoalescer.layer()))

const key = (path: string, body: string, more: Partial<RoutedRequest> = {}) =>
  identify({ ...request(path, body), ...more })!.key

describe("which requests are identical", () => {
  const chat = `{"model":"m","messages":[{"role":"user","content":"a b"}],"options":{"seed":1,"top_k":2}}`
  const one = key("/api/chat", chat)

  it("white space, the order of top-level keys and of options, and an explicit default do not matter", () => {
    const respelled = ` { "options" : {"top_k":2,\n"seed":1}, "stream":true,
      "messages" : [ {"role":"user", "content":"a b"} ] , "model":"m" }`
    assert.strictEqual(key("/api/chat", respelled), one)
  })

  for (
    const [what, other] of [
      ["a space inside a string", chat.replace("a b", "a  b")],
      ["another model", chat.replace(`"m"`, `"n"`)],
      ["not streamed", chat.replace("{", `{"stream":false,`)],
      [
        "the order of keys in a schema, by which Ollama generates",
        chat.replace(`"role":"user","content":"a b"`, `"content":"a b","role":"user"`),
      ],
      ["an option outside the options", chat.replace(`,"top_k":2}`, `},"top_k":2`)],
      ["how long to keep the model", chat.replace("{", `{"keep_alive":0,`)],
      ["which of two spellings of a key comes last", chat.replace("{", `{"format":"json","FORMAT":null,`)],
      ["an image", chat.replace(`"a b"`, `"a b","images":["aGk="]`)],
    ] as const
  ) it(`${what} matters`, () => assert.notStrictEqual(key("/api/chat", other), one))

  it("keys that Ollama may take for the same one keep their order", () => {
    const [a, b] = [`{"model":"m","format":"json","FORMAT":null}`, `{"model":"m","FORMAT":null,"format":"json"}`]
    assert.notStrictEqual(key("/api/chat", a), key("/api/chat", b))
  })

  it("an invalid body is not identical to a valid one", () => {
    assert.notStrictEqual(key("/api/generate", `{"context":[1 2]}`), key("/api/generate", `{"context":[12]}`))
    assert.strictEqual(key("/api/generate", `{"context":[1, 2]}`), key("/api/generate", `{"context":[1,2]}`))
  })

  it("all of this holds for bodies of any length", () => {
    for (const length of [10, 60, 1000, 70_000, 400_000]) {
      const text = "é x".repeat(length / 3)
      const spelled = (spaces: string, last = "") =>
        key("/api/chat", `{"messages":${spaces}[{"content":"${text}${last}"${spaces},"images":["aGk="]}],"model":"m"}`)
      assert.strictEqual(spelled(" \n"), spelled(""))
      assert.notStrictEqual(spelled("", "y"), spelled(""))
      const embed = (spaces: string, last = "") => key("/api/embed", `{"model":"m",${spaces}"input":"${text}${last}"}`)
      assert.strictEqual(embed(" \n"), embed(""))
      assert.notStrictEqual(embed("", "y"), embed(""))
    }
  })

  it("tenant, path and credentials matter, other headers do not", () => {
    assert.notStrictEqual(key("/api/chat", chat, { tenant: "other" }), one)
    assert.notStrictEqual(key("/api/generate", chat), one)
    for (const name of ["Authorization", "Cookie", "X-Api-Key"]) {
      assert.notStrictEqual(key("/api/chat", chat, { headers: [name, "secret"] }), one)
    }
    assert.strictEqual(key("/api/chat", chat, { headers: ["User-Agent", "other"] }), one)
    const embed = `{"model":"m","input":"a"}`
    assert.notStrictEqual(key("/api/embed", embed, { tenant: "other" }), key("/api/embed", embed))
    assert.notStrictEqual(key("/api/embed", embed, { headers: ["Cookie", "secret"] }), key("/api/embed", embed))
  })

  it("embedding calls share a batch when only their text differs", () => {
    const single = (body: string, path = "/api/embed") => identify(request(path, body))!.single
    const group = single(`{"model":"m","input":"a"}`)!.group
    assert.strictEqual(single(`{ "input" : ["b"], "model":"m"}`)!.group, group)
    assert.notStrictEqual(single(`{"model":"m","input":"a","dimensions":8}`)!.group, group)
    assert.isUndefined(single(`{"model":"m","input":["a","b"]}`))
    assert.isUndefined(single(`{"model":"m","input":[""]}`))
    assert.isUndefined(single(`{"model":"m","prompt":"a"}`, "/api/embeddings"))
  })
})

describe("MemoryCoalescer", () => {
  it.effect("while it waits, a flight has the best priority and the latest deadline of its clients", () =>
    Effect.gen(function* () {
      const coalescer = yield* Coalescer
      const gate = yield* Deferred.make<void>()
      let seen: Demand | undefined
      const lead: Lead = (demand, reply) => {
        seen = demand
        return answering("answer", Deferred.await(gate))(demand, reply)
      }
      const join = (more: Partial<Demand>) =>
        Effect.forkChild(
          coalescer.join(same(), demandFor(modelOn("m:latest", "a"), more), new RecordingReply(), lead),
          { startImmediately: true },
        )
      const said = () => [seen?.priority, seen?.queueMillis]
      const fibers = [yield* join({ priority: "batch", queueMillis: 1000 })]
      assert.deepStrictEqual(said(), ["batch", 1000])
      fibers.push(yield* join({ priority: "interactive", queueMillis: 500, since: 800 }))
      assert.deepStrictEqual(said(), ["interactive", 1300])
      fibers.push(yield* join({ priority: "default", queueMillis: 5, since: 900 }))
      assert.deepStrictEqual(said(), ["interactive", 1300])
      fibers.push(yield* join({}))
      assert.deepStrictEqual(said(), ["interactive", undefined])
      // As admission does: the request may wait until 1000 ms.
      seen!.deadline = 1000
      fibers.push(yield* join({ since: 300 }))
      assert.strictEqual(seen!.deadline, 1300)
      fibers.push(yield* join({ since: 400, queueMillis: 100 }))
      assert.strictEqual(seen!.deadline, 1300)
      yield* Deferred.succeed(gate, undefined)
      for (const fiber of fibers) yield* Fiber.join(fiber)
    }).pipe(Effect.provide(MemoryCoalescer.layer())))

  it.effect("a batch takes no more texts, and no more bytes of text, than it is charged for", () =>
    Effect.gen(function* () {
      const sizes: Array<number> = []
      const charged: Array<number> = []
      const gate = yield* Deferred.make<void>()
      const lead = (of: RoutedRequest): Lead => (demand, reply, sent) => {
        charged.push(demand.bytes)
        return Effect.andThen(
          Deferred.await(gate),
          Effect.suspend(() => {
            const body = new TextDecoder().decode((sent?.() ?? of).body)
            const { input } = JSON.parse(body) as { input: string | Array<string> }
            sizes.push(typeof input === "string" ? 1 : input.length)
            const all = typeof input === "string" ? [input] : input
            return answering(JSON.stringify({ embeddings: all.map(({ length }) => [length]) }))(demand, reply)
          }),
        )
      }
      const join = (text: string) => {
        const of = request("/api/embed", { model: "m", input: text })
        return Effect.forkChild(joining(of, lead(of)), { startImmediately: true })
      }
      const fibers = yield* Effect.forEach(Array.from({ length: 10 }), (_, i) => join(`${i}`))
      const long = "x".repeat(20_000)
      fibers.push(...(yield* Effect.forEach(Array.from({ length: 7 }), (_, i) => join(`${i} ${long}`))))
      yield* Deferred.succeed(gate, undefined)
      for (const fiber of fibers) yield* Fiber.join(fiber)
      assert.deepStrictEqual(sizes, [4, 4, 4, 3, 2])
      assert.isTrue(charged.every((bytes) => bytes === 65_536))
      assert.strictEqual((yield* Coalescer).active(), 0)
    }).pipe(Effect.provide(MemoryCoalescer.layer({ batchInputs: 4 }))))
})
