import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { MissingPaths } from "../../../src/layers/router/missingPaths.ts"
import { Breaker } from "../../../src/services/Breaker.ts"
import { backend } from "../../../src/services/Fleet.ts"
import { Leases } from "../../../src/services/Leases.ts"
import { ModelCatalog } from "../../../src/services/ModelCatalog.ts"
import type { RetryPolicy } from "../../../src/services/Plugin.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import { fleetOf, viewOf } from "../../../src/testing/views.ts"
import { ask, idle, nothing, over, url } from "../../support/routers.ts"

const { Fault } = SimulatedFleet
const path = "/v1/responses"
const asked = { model: "tiny-eos", input: "hi" }
const server = (id: string) => Effect.map(SimulatedFleet.SimulatedFleet, (fleet) => fleet.get(url(id)))
const callsOf = (id: string, of = path) =>
  Effect.map(server(id), ({ calls }) => calls.filter((call) => call.path === of).length)
const finish = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    yield* TestClock.adjust("10 seconds")
    return yield* Fiber.join(fiber)
  })
const bytes = (text: string) => new TextEncoder().encode(text)
/** What Ollama's own HTTP library writes for a path that it does not have. */
const page = bytes("404 page not found")
const old = { missingPaths: [path, "/v1/messages"], version: "0.12.0" }

describe("a path that some backends do not have", () => {
  it.effect("is answered by one that has it, always, and each other one is asked once", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      for (let i = 0; i < 12; i++) {
        const { reply, settled } = yield* finish(ask(path, asked))
        assert.deepStrictEqual([reply.status, settled.backend], [200, "new"])
      }
      // More old backends than a request has attempts, so that these 404 do not count as attempts that failed.
      for (const id of ["a", "b", "c", "d"]) assert.isAtMost(yield* callsOf(id), 1, id)
      assert.strictEqual(yield* callsOf("new"), 12)
      assert.deepStrictEqual(yield* idle, nothing)
      // Nothing else is held against the old ones: they have the model, and other paths.
      const catalog = yield* ModelCatalog
      assert.deepStrictEqual(Array.from(catalog.peek("tiny-eos")!.owners.keys()), ["a", "b", "c", "d", "new"])
      const breaker = yield* Breaker
      const view = (yield* Leases).view
      for (const id of ["a", "b", "c", "d"]) {
        assert.strictEqual(breaker.state(id, "tiny-eos:latest"), "closed")
        assert.strictEqual(view.find(id)!.version, "0.12.0")
      }
      const chats = yield* Effect.forEach(
        Array.from({ length: 10 }),
        () => Effect.forkChild(ask("/api/chat", { ...asked, messages: [{ role: "user", content: "hi" }] })),
      )
      yield* TestClock.adjust("2 minutes")
      yield* Effect.forEach(chats, Fiber.join)
      const others = yield* Effect.forEach(["a", "b", "c", "d"], (id) => callsOf(id, "/api/chat"))
      assert.isAbove(others.reduce((sum, count) => sum + count), 0)
    }).pipe(Effect.provide(over({ a: old, b: old, c: old, d: old, new: { decodeRate: 10 } }))))

  it.effect("takes no retry away from a request that also finds broken backends", () => {
    const attempts: Array<number> = []
    const retry: RetryPolicy = {
      kind: "retry",
      name: "counting",
      seen: () => {},
      decide: (failed) => {
        attempts.push(failed.attempts)
        return "elsewhere"
      },
    }
    return Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      for (const id of ["x", "y", "z"]) (yield* server(id)).faults.set(Fault.failure(503, "busy"), { path })
      const { settled } = yield* finish(ask(path, asked))
      assert.strictEqual(settled.attempts, 6)
      assert.isAtLeast(attempts.length, 1)
      assert.deepStrictEqual(attempts, [1, 2, 3].slice(0, attempts.length))
    }).pipe(Effect.provide(over({ a: old, b: old, x: {}, c: old, y: {}, z: {} }, { retry })))
  })

  it.effect("is known per path", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      for (let i = 0; i < 4; i++) assert.strictEqual((yield* finish(ask(path, asked))).settled.backend, "new")
      const messages = { model: "tiny-eos", max_tokens: 5, messages: [{ role: "user", content: "hi" }] }
      for (let i = 0; i < 4; i++) {
        assert.strictEqual((yield* finish(ask("/v1/messages", messages))).settled.backend, "other")
      }
      assert.isAtMost(yield* callsOf("other", path), 1)
      assert.isAtMost(yield* callsOf("new", "/v1/messages"), 1)
    }).pipe(Effect.provide(over({
      other: { missingPaths: [path] },
      new: { missingPaths: ["/v1/messages"] },
    }))))

  it.effect("gets the 404 of one backend where none has it, from one call", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      const first = yield* finish(ask(path, asked))
      assert.strictEqual(first.settled.attempts, 2)
      const { reply, settled } = yield* finish(ask(path, asked))
      assert.deepStrictEqual([reply.status, reply.text, settled.attempts], [404, "404 page not found", 1])
      assert.strictEqual(settled.outcome?.cause, "not-offered")
      assert.deepStrictEqual(yield* idle, nothing)
    }).pipe(Effect.provide(over({ a: old, b: old }))))

  it.effect("a model that is missing is another 404", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      const { disk } = yield* server("a")
      disk.remove(disk.find("tiny-eos")!)
      for (let i = 0; i < 3; i++) {
        const chat = { model: "tiny-eos", messages: [{ role: "user", content: "hi" }] }
        assert.strictEqual((yield* finish(ask("/api/chat", chat))).settled.backend, "b")
      }
      const catalog = yield* ModelCatalog
      assert.deepStrictEqual(Array.from(catalog.peek("tiny-eos")!.owners.keys()), ["b"])
    }).pipe(Effect.provide(over({ a: {}, b: {} }))))
})

describe("what is remembered", () => {
  const model = {
    key: "m",
    owners: new Map(["a", "b"].map((id) => [id, { digest: "", size: 1 }])),
    capabilities: [],
    remote: false,
  }
  const setUp = Effect.clockWith((clock) =>
    Effect.sync(() => {
      const views = new Map(["a", "b"].map((id) => [id, viewOf(id, { version: "0.12.0" })]))
      const missing = new MissingPaths(
        {
          backends: [],
          owners: (of) => fleetOf(Array.from(views.values())).owners(of),
          find: (id) => views.get(id),
        },
        clock,
      )
      return { views, missing }
    })
  )

  it.effect("counts while version and URL stay the same", () =>
    Effect.gen(function* () {
      const { missing, views } = yield* setUp
      assert.deepStrictEqual(missing.excluded("/x", model), [])
      missing.add("/x", "a", page)
      yield* TestClock.adjust("30 days")
      assert.deepStrictEqual(missing.excluded("/x", model), ["a"])
      assert.deepStrictEqual(missing.excluded("/y", model), [])
      views.set("a", viewOf("a", { version: "0.33.0" }))
      assert.deepStrictEqual(missing.excluded("/x", model), [])
      missing.add("/x", "a", page)
      views.set("a", viewOf("a", { version: "0.33.0", backend: backend({ url: "http://elsewhere:1", id: "a" }) }))
      assert.deepStrictEqual(missing.excluded("/x", model), [])
      assert.strictEqual(missing.size, 0)
    }))

  it.effect("counts for a minute where the version is not known", () =>
    Effect.gen(function* () {
      const { missing, views } = yield* setUp
      views.set("a", viewOf("a"))
      missing.add("/x", "a", page)
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(missing.excluded("/x", model), ["a"])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(missing.excluded("/x", model), [])
    }))

  it.effect("counts for a minute where a proxy may have answered", () =>
    Effect.gen(function* () {
      const { missing } = yield* setUp
      for (const body of ["<html>404 Not Found</html>", "", "no such route"]) {
        missing.add("/x", "a", bytes(body))
        yield* TestClock.adjust("59 seconds")
        assert.deepStrictEqual(missing.excluded("/x", model), ["a"], body)
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(missing.excluded("/x", model), [], body)
      }
    }))

  it.effect("excludes nobody where all owners lack the path", () =>
    Effect.gen(function* () {
      const { missing } = yield* setUp
      missing.add("/x", "a", page)
      missing.add("/x", "b", page)
      assert.deepStrictEqual(missing.excluded("/x", model), [])
      assert.deepStrictEqual(missing.backends("/x"), ["a", "b"])
    }))

  it.effect("is forgotten with its backend: ten thousand of them leave nothing", () =>
    Effect.gen(function* () {
      const { missing, views } = yield* setUp
      for (let i = 0; i < 10_000; i++) {
        views.set(`pod-${i}`, viewOf(`pod-${i}`))
        missing.add(`/${i % 11}`, `pod-${i}`, page)
        views.delete(`pod-${i}`)
        assert.isAtMost(missing.size, 1)
      }
      missing.add("/x", "gone", page)
      assert.strictEqual(missing.size, 0)
    }))
})
