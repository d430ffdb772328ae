/** The live stream of the admin API, in virtual time: what a page gets, a slow reader, and one that stalls. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Feed, type Options } from "../../../src/layers/routes/admin/feed.ts"
import type { State } from "../../../src/layers/routes/AdminApi.ts"
import { Fleet } from "../../../src/services/Fleet.ts"
import { Router } from "../../../src/services/Router.ts"
import { events, operator } from "../../support/admin.ts"
import { ask, over } from "../../support/routers.ts"

interface Told {
  readonly event: string
  // deno-lint-ignore no-explicit-any
  readonly data: any
}

const parsed = (text: string): ReadonlyArray<Told> =>
  text.split("\n\n").filter((one) => one !== "").map((one) => {
    const field = (name: string) => one.split("\n").find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2)
    const data = field("data")
    return { event: field("event") ?? one, data: data === undefined ? undefined : JSON.parse(data) }
  })

/** Lets promises of the web handler go on. */
const turn = Effect.promise(() => new Promise((done) => setImmediate(done)))
const pass = (duration: "500 millis" | "1 second" | "15 seconds" | "30 seconds") =>
  Effect.andThen(TestClock.adjust(duration), Effect.andThen(turn, turn))

/** Follows the stream; `take` gives what has come since. */
const following = Effect.gen(function* () {
  const { call, fetch, request } = yield* operator()
  const response = yield* Effect.promise(() => fetch(request("GET /admin/events")))
  const reader = response.body!.getReader()
  yield* Effect.addFinalizer(() => Effect.promise(() => reader.cancel().catch(() => {})))
  let text = ""
  let ended = false
  const read = (): Promise<void> =>
    reader.read().then(({ done, value }) => {
      if (done) return void (ended = true)
      text += new TextDecoder().decode(value)
      return read()
    }, () => void (ended = true))
  void read()
  yield* turn
  const take = Effect.gen(function* () {
    yield* turn
    const told = parsed(text)
    text = ""
    return told
  })
  return { call, response, take, ended: () => ended }
})

describe("/admin/events", () => {
  it.effect("sends the state, then what changes, at most twice a second, and a sign of life when nothing does", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("6 seconds")
      const { call, response, take } = yield* following
      assert.strictEqual(response.headers.get("content-type"), "text/event-stream")
      assert.strictEqual(response.headers.get("cache-control"), "no-store")
      const [snapshot, ...more] = yield* take
      assert.deepStrictEqual([snapshot!.event, more], ["snapshot", []])
      const { json: state } = yield* call("GET /admin/state")
      assert.deepStrictEqual(snapshot!.data, state)

      yield* (yield* Fleet).setState("b", "draining")
      yield* ask("/api/generate", { model: "tiny-eos", prompt: "hi" })
      yield* pass("500 millis")
      const changed = yield* take
      assert.deepStrictEqual(changed.map(({ event }) => event), ["change", "event"])
      const { backends, latency, traffic, ...rest } = changed[0]!.data
      assert.deepStrictEqual(Object.keys(rest), ["at"])
      assert.deepStrictEqual(backends.map(({ id, member }: Record<string, string>) => [id, member]), [
        ["a", "active"],
        ["b", "draining"],
      ])
      assert.strictEqual(traffic.requests, 1)
      assert.strictEqual(latency.queue.measured, 1)
      assert.strictEqual(changed[1]!.data._tag, "LoadEnded")

      for (let i = 0; i < 10; i++) yield* ask("/api/generate", { model: "tiny-eos", prompt: `${i}` })
      yield* pass("500 millis")
      const [one, ...others] = yield* take
      assert.strictEqual(one!.data.traffic.requests, 11)
      assert.deepStrictEqual(others, [], "ten requests are one change")

      yield* pass("500 millis")
      assert.deepStrictEqual(yield* take, [])
      // The next reading of `/api/ps` shows the model.
      yield* pass("15 seconds")
      yield* take
      yield* pass("15 seconds")
      assert.include((yield* take).map(({ event }) => event).join("\n"), ": alive")
    }).pipe(Effect.scoped, Effect.provide(over({ a: {}, b: {} }, { events }))))

  it.effect("ends when the router drains, so that it does not hold up the shutdown", () =>
    Effect.gen(function* () {
      const { ended } = yield* following
      yield* pass("1 second")
      assert.isFalse(ended())
      yield* (yield* Router).drain
      yield* pass("1 second")
      assert.isTrue(ended())
    }).pipe(Effect.scoped, Effect.provide(over({ a: {} }, { events }))))

  it.effect("tells what operators change as an event", () =>
    Effect.gen(function* () {
      const { call, take } = yield* following
      yield* take
      yield* call("POST /admin/backends/a/drain")
      yield* pass("500 millis")
      const told = (yield* take).find(({ event }) => event === "event")
      assert.strictEqual(told!.data._tag, "AdminChanged")
      assert.strictEqual(told!.data.action, "drain")
    }).pipe(Effect.scoped, Effect.provide(over({ a: {} }, { events }))))
})

const state = (fields: object): State => ({ at: "t", backends: [], devices: [], ...fields }) as unknown as State

const feedOf = (options: Partial<Options>) =>
  Effect.map(Clock.Clock, (clock) =>
    new Feed({
      ...{ clock, draining: () => false, intervalMillis: 500, heartbeatMillis: 15_000, stallMillis: 30_000 },
      ...{ readersMax: 2, state: () => state({}) },
      ...options,
    }))

describe("Feed", () => {
  it.effect("takes as many readers as it may, and one more when one has left", () =>
    Effect.gen(function* () {
      const feed = yield* feedOf({})
      const first = feed.follow(() => {})!
      assert.isDefined(feed.follow(() => {}))
      assert.isUndefined(feed.follow(() => {}))
      yield* Stream.runDrain(Stream.take(first, 1))
      assert.strictEqual(feed.size, 1)
      assert.isDefined(feed.follow(() => {}))
    }))

  it.effect("a slow reader gets one change for all that it has missed, and the number of events that were lost", () =>
    Effect.gen(function* () {
      let backends: ReadonlyArray<object> = [{ id: "a", n: 0 }, { id: "gone", n: 0 }]
      let reads = 0
      const feed = yield* feedOf({ state: () => (reads++, state({ backends, queues: [] })) })
      const slow = yield* Stream.toPull(feed.follow(() => {})!)
      yield* slow
      for (let n = 1; n <= 1000; n++) {
        backends = [{ id: "a", n }]
        feed.add({ _tag: "ModelSpilled", at: n, spill: { backend: "a", model: "m", size: 2, sizeVram: 1 } })
      }
      const next = yield* Effect.forkChild(slow, { startImmediately: true })
      yield* TestClock.adjust("500 millis")
      const told = parsed((yield* Fiber.join(next)).join(""))
      assert.deepStrictEqual(told[0]!.data, { at: "t", backends: [{ id: "a", n: 1000 }], gone: ["backends/gone"] })
      assert.deepStrictEqual([told[1]!.event, told[1]!.data], ["lost", 900])
      assert.strictEqual(told.length, 102)
      assert.strictEqual(reads, 2)
    }).pipe(Effect.scoped))

  it.effect("a reader that takes nothing is dropped after the time limit, and one that waits for news is not", () =>
    Effect.gen(function* () {
      const feed = yield* feedOf({})
      const dropped: Array<string> = []
      const stalled = yield* Stream.toPull(feed.follow(() => dropped.push("stalled"))!)
      yield* stalled
      const patient = feed.follow(() => dropped.push("patient"))!
      yield* Effect.forkChild(Stream.runDrain(patient), { startImmediately: true })
      for (let i = 0; i < 29; i++) {
        yield* TestClock.adjust("1 second")
        feed.sweep()
      }
      assert.deepStrictEqual(dropped, [])
      yield* TestClock.adjust("1 second")
      feed.sweep()
      assert.deepStrictEqual(dropped, ["stalled"])
      assert.strictEqual(feed.size, 1)
    }).pipe(Effect.scoped))

  it.effect("readers that ask at the same time share one reading of the state", () =>
    Effect.gen(function* () {
      let reads = 0
      const feed = yield* feedOf({ readersMax: 50, state: () => (reads++, state({ n: reads })) })
      for (let i = 0; i < 50; i++) {
        yield* Effect.forkChild(Stream.runDrain(feed.follow(() => {})!), { startImmediately: true })
      }
      assert.strictEqual(reads, 1)
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(reads, 2)
    }))
})
