/** Ollama's queue under different clients, on the test clock. */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { ask, gib, lines, load, middling, names, on, send, server, started } from "./support.ts"

describe("the queue", () => {
  on("loads serially: a second model waits for the first load", { loadTime: "4 seconds" }, function* () {
    const a = yield* ask("tiny-eos")
    const b = yield* ask("tiny-b")
    yield* TestClock.adjust("4 seconds")
    assert.isTrue(started(a))
    assert.isUndefined(b.status)
    yield* TestClock.adjust("4 seconds")
    assert.isTrue(started(b))
  })

  on("is first in, first out, for any loaded model", { loadTime: "1 second", maxLoaded: 1 }, function* () {
    yield* load("tiny-eos")
    yield* TestClock.adjust("1 second")
    const heard = yield* Effect.forEach(["tiny-b", "tiny-eos", "tiny-b"], (model) => ask(model))
    // One swap would be enough for both requests for tiny-b; Ollama swaps three times.
    for (const expected of [[true, false, false], [true, true, false], [true, true, true]]) {
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(heard.map(started), expected)
    }
  })

  on("sends nothing while it loads: no status, no bytes", { loadTime: "4 seconds" }, function* () {
    const heard = yield* ask("tiny-eos")
    yield* TestClock.adjust("3999 millis")
    assert.isUndefined(heard.status)
    yield* TestClock.adjust("1 milli")
    assert.strictEqual(heard.over, "end")
  })

  on(
    "bounds only requests that must be scheduled: 10 for a cold model, 5 served and 5 refused",
    { loadTime: "4 seconds", maxQueue: 4 },
    function* () {
      const heard = yield* Effect.forEach(Array.from({ length: 10 }), () => ask("tiny-eos"))
      const refused = heard.filter(({ status }) => status === 503)
      assert.lengthOf(refused, 5)
      assert.strictEqual(
        refused[0]!.text,
        `{"error":"server busy, please try again.  maximum pending requests exceeded"}`,
      )
      yield* TestClock.adjust("4 seconds")
      assert.lengthOf(heard.filter(started), 5)
    },
  )

  on(
    "queues without bound in front of a loaded model, first come, first served",
    { decodeRate: 1, maxQueue: 4 },
    function* () {
      yield* load("tiny-eos")
      const heard = yield* Effect.forEach(Array.from({ length: 1000 }), () => ask("tiny-eos"))
      const simulated = yield* server
      assert.strictEqual(simulated.resident[0]?.waiting, 999)
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(heard.slice(0, 4).map(({ over }) => over), ["end", "end", "end", undefined])
      yield* TestClock.adjust("1000 seconds")
      assert.isTrue(heard.every(({ over }) => over === "end"))
    },
  )

  on("survives a long queue whose answers take no time", { loadTime: "1 second", maxQueue: 10_000 }, function* () {
    const heard = yield* Effect.forEach(Array.from({ length: 5000 }), () => ask("tiny-eos"))
    yield* TestClock.adjust("1 second")
    const allOver = () => heard.every(({ over }) => over === "end")
    // On a busy machine the test clock stops waiting before all fibers have run. No more time may pass for them.
    for (let turn = 0; turn < 1000 && !allOver(); turn++) yield* TestClock.adjust(0)
    assert.isTrue(allOver())
  })

  on("serves OLLAMA_NUM_PARALLEL requests at the same time", { decodeRate: 1, parallelism: 2 }, function* () {
    const heard = yield* Effect.forEach(Array.from({ length: 3 }), () => ask("tiny-eos"))
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(heard.map(({ over }) => over), ["end", "end", undefined])
  })

  on("serves one request at a time for embedding models, with any OLLAMA_NUM_PARALLEL", {
    prefillRate: 7,
    parallelism: 4,
  }, function* () {
    const heard = yield* Effect.forEach([1, 2], () => send("/api/embed", { model: "tiny-embed", input: "hello" }))
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(heard.map(({ over }) => over), ["end", undefined])
  })

  on("lets a big embedding batch take the whole queue", { prefillRate: 7 }, function* () {
    yield* send("/api/embed", { model: "tiny-embed" })
    const batch = yield* send("/api/embed", { model: "tiny-embed", input: Array.from({ length: 5 }, () => "hello") })
    const one = yield* send("/api/embed", { model: "tiny-embed", input: "hello" })
    yield* TestClock.adjust("5 seconds")
    assert.deepStrictEqual([batch.over, one.over], ["end", undefined])
    yield* TestClock.adjust("1 second")
    assert.strictEqual(one.over, "end")
  })
})

describe("a load and its client", () => {
  on("a load ends with its client, and the next client starts a new one", { loadTime: "4 seconds" }, function* () {
    const first = yield* ask("tiny-eos")
    const second = yield* ask("tiny-eos")
    yield* TestClock.adjust("3 seconds")
    first.upstream?.abort()
    yield* TestClock.adjust("3 seconds")
    assert.isUndefined(second.status)
    assert.strictEqual((yield* server).counts.loadsKilled, 1)
    yield* TestClock.adjust("1 second")
    assert.strictEqual(second.over, "end")
    assert.isUndefined(first.over)
  })

  on("a client that leaves the queue keeps its place until it is popped", {
    loadTime: "4 seconds",
    maxQueue: 1,
  }, function* () {
    yield* ask("tiny-eos")
    const queued = yield* ask("tiny-b")
    queued.upstream?.abort()
    yield* TestClock.adjust("1 second")
    assert.strictEqual((yield* ask("tiny-b")).status, 503)
    yield* TestClock.adjust("3 seconds")
    assert.deepStrictEqual(yield* names, ["tiny-eos:latest"])
    assert.strictEqual((yield* server).pending, 0)
  })

  on("nothing is left when a waiting client leaves", { decodeRate: 1 }, function* () {
    yield* ask("tiny-eos", 5)
    const waiting = yield* ask("tiny-eos", 5)
    const last = yield* ask("tiny-eos", 1)
    waiting.upstream?.abort()
    yield* TestClock.adjust("6 seconds")
    assert.strictEqual(last.over, "end")
    const [resident] = (yield* server).resident
    assert.deepStrictEqual([resident?.refs, resident?.active, resident?.waiting], [0, 0, 0])
  })

  on(
    "stops generating within one token after the client leaves, with or without a stream",
    { decodeRate: 1 },
    function* () {
      const simulated = yield* server
      for (const stream of [true, false]) {
        const heard = yield* ask("tiny-loop", 100, { stream })
        yield* TestClock.adjust("3500 millis")
        heard.upstream?.abort()
        const before = heard.chunks.length
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(heard.chunks.length, before)
        assert.strictEqual(simulated.calls.at(-1)?.tokens, 3)
        assert.strictEqual(simulated.calls.at(-1)?.state, "aborted")
        assert.strictEqual(simulated.resident[0]?.refs, 0)
      }
    },
  )

  on("an endless answer that takes no time can be stopped", {}, function* () {
    const heard = yield* send("/api/generate", { model: "tiny-loop", prompt: "hi" })
    yield* Effect.yieldNow
    heard.upstream?.abort()
    yield* Effect.yieldNow
    assert.strictEqual((yield* server).open, 0)
  })

  on("holds its slot while the client does not read", { decodeRate: 1 }, function* () {
    const stalled = yield* ask("tiny-eos", 5)
    yield* TestClock.adjust("2 seconds")
    stalled.upstream?.pause()
    const next = yield* ask("tiny-eos", 1)
    yield* TestClock.adjust("1 hour")
    assert.lengthOf(stalled.chunks, 2)
    assert.isUndefined(next.status)
    stalled.upstream?.resume()
    yield* TestClock.adjust("3 seconds")
    assert.strictEqual(stalled.over, "end")
    yield* TestClock.adjust("1 second")
    assert.strictEqual(next.over, "end")
  })
})

describe("time", () => {
  on("load_duration includes the wait for the runner, and total_duration the wait for the slot", {
    loadTime: "2 seconds",
    decodeRate: 1,
    prefillRate: 25,
  }, function* () {
    yield* ask("tiny-eos", 2)
    const second = yield* ask("tiny-eos", 2)
    yield* TestClock.adjust("8 seconds")
    const last = lines(second).at(-1)!
    assert.deepStrictEqual(
      ["total", "load", "prompt_eval", "eval"].map((name) => last[`${name}_duration`]),
      [8e9, 2e9, 1e9, 2e9],
    )
  })

  on("leaves out durations that are 0", {}, function* () {
    assert.deepStrictEqual(
      Object.keys(lines(yield* ask("tiny-eos")).at(-1)!),
      ["model", "created_at", "response", "done", "done_reason", "context", "prompt_eval_count", "eval_count"],
    )
  })

  on("loads at the disk's speed", { loadBandwidth: gib, loadTime: "1 second", models: [middling("a")] }, function* () {
    const heard = yield* load("a")
    yield* TestClock.adjust("9999 millis")
    assert.isUndefined(heard.status)
    yield* TestClock.adjust("1 milli")
    assert.strictEqual(heard.over, "end")
  })
})
