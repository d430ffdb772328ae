/** What Ollama keeps in memory, what it reloads and what it evicts, on the test clock. */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { Model } from "../../../../src/simulated/SimulatedFleet.ts"
import { ask, lines, load, names, on, ps, send, server } from "../../../simulated/support.ts"

describe("residency", () => {
  on("does not list a model that is being loaded", { loadTime: "4 seconds" }, function* () {
    yield* ask("tiny-eos")
    yield* TestClock.adjust("3 seconds")
    assert.deepStrictEqual(yield* names, [])
    assert.strictEqual((yield* server).loading?.name, "tiny-eos:latest")
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(yield* names, ["tiny-eos:latest"])
  })

  on("goes by blob, not by name: ps shows the name that loaded it", {
    models: [Model.tinyEos, Model.alias(Model.tinyEos, "copy")],
  }, function* () {
    yield* ask("tiny-eos")
    yield* ask("copy")
    assert.deepStrictEqual(yield* names, ["tiny-eos:latest"])
    assert.strictEqual((yield* server).counts.loads, 1)
  })

  on("keeps a deleted alias's runner", { models: [Model.tinyEos, Model.alias(Model.tinyEos, "copy")] }, function* () {
    yield* ask("copy")
    yield* send("/api/delete", { model: "copy" }, { method: "DELETE" })
    assert.deepStrictEqual(yield* names, ["copy:latest"])
  })

  on("unloads after the default keep-alive, counted from the end of the last request", { decodeRate: 1 }, function* () {
    yield* ask("tiny-eos", 40)
    yield* TestClock.adjust("40 seconds")
    yield* TestClock.adjust("299 seconds")
    assert.deepStrictEqual(yield* names, ["tiny-eos:latest"])
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(yield* names, [])
  })

  on("starts the keep-alive again with every request", {}, function* () {
    yield* ask("tiny-eos")
    yield* TestClock.adjust("200 seconds")
    yield* ask("tiny-eos")
    yield* TestClock.adjust("200 seconds")
    assert.deepStrictEqual(yield* names, ["tiny-eos:latest"])
    yield* TestClock.adjust("100 seconds")
    assert.deepStrictEqual(yield* names, [])
  })

  on("remembers the last keep-alive a request gave", {}, function* () {
    yield* ask("tiny-eos", 1, { keep_alive: "90m" })
    yield* ask("tiny-eos")
    yield* send("/v1/completions", { model: "tiny-eos", prompt: "hi", max_tokens: 1 })
    yield* TestClock.adjust("89 minutes")
    assert.deepStrictEqual(yield* names, ["tiny-eos:latest"])
    yield* ask("tiny-eos", 1, { keep_alive: 10 })
    yield* TestClock.adjust("10 seconds")
    assert.deepStrictEqual(yield* names, [])
  })

  on("unloads after this request with keep_alive 0", { decodeRate: 1 }, function* () {
    yield* ask("tiny-eos", 2, { keep_alive: 0 })
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(yield* names, ["tiny-eos:latest"])
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(yield* names, [])
  })

  on("keeps for ever with a negative keep_alive: expires in 292 years", {}, function* () {
    yield* ask("tiny-eos", 1, { keep_alive: -1 })
    assert.match((yield* ps)[0]!.expires_at, /^2262-/)
    yield* TestClock.adjust("1000 days")
    assert.deepStrictEqual(yield* names, ["tiny-eos:latest"])
  })

  on("acknowledges an unload at once, and unloads when the model is idle", { decodeRate: 1 }, function* () {
    yield* TestClock.adjust("1 second")
    yield* ask("tiny-eos", 5)
    yield* TestClock.adjust("1 second")
    const unload = yield* load("tiny-eos", { keep_alive: 0 })
    assert.strictEqual(lines(unload)[0]!["done_reason"], "unload")
    // In the past by the time anyone looks: the CLI's "Stopping...".
    assert.strictEqual((yield* ps)[0]!.expires_at, "1970-01-01T00:00:02Z")
    yield* TestClock.adjust("3 seconds")
    assert.deepStrictEqual(yield* names, ["tiny-eos:latest"])
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(yield* names, [])
  })

  on("answers an unload of a model that is not loaded, and of embedders", {}, function* () {
    assert.strictEqual(lines(yield* load("tiny-b", { keep_alive: 0 }))[0]!["done_reason"], "unload")
    yield* send("/api/embed", { model: "tiny-embed" })
    assert.deepStrictEqual(yield* names, ["tiny-embed:latest"])
    yield* load("tiny-embed", { keep_alive: 0 })
    assert.deepStrictEqual(yield* names, [])
  })

  on("loads by an empty prompt, and embedders by an embed call without input", {}, function* () {
    assert.strictEqual(lines(yield* load("tiny-eos"))[0]!["done_reason"], "load")
    assert.strictEqual((yield* load("tiny-embed")).status, 400)
    assert.strictEqual(
      (yield* send("/api/embed", { model: "tiny-embed" })).text,
      `{"model":"tiny-embed","embeddings":[]}`,
    )
    assert.deepStrictEqual(yield* names, ["tiny-embed:latest", "tiny-eos:latest"])
  })
})

describe("reload", () => {
  const reloads = (requests: ReadonlyArray<object>, expected: number) =>
    Effect.gen(function* () {
      for (const options of requests) yield* load("tiny-eos", options)
      assert.strictEqual((yield* server).counts.loads, expected)
    })

  on("on every change of num_ctx, and back to none", {}, function* () {
    yield* reloads([1024, 2048, 1024].map((num_ctx) => ({ options: { num_ctx } })), 3)
    yield* load("tiny-eos")
    assert.strictEqual((yield* server).counts.loads, 4)
  })

  on("not when an explicit num_ctx is what it has after clamping", {}, function* () {
    yield* reloads([{}, { options: { num_ctx: 4096 } }, { options: { num_ctx: 99999 } }], 1)
  })

  on("on num_thread, main_gpu, use_mmap, num_batch, num_gpu, draft_num_predict and shift", {}, function* () {
    yield* reloads([
      {},
      { options: { num_thread: 2 } },
      { options: { main_gpu: 1 } },
      { options: { use_mmap: true } },
      { options: { num_batch: 64 } },
      { options: { num_gpu: 0 } },
      { options: { draft_num_predict: 4, num_gpu: 0 } },
      { shift: false, options: { num_gpu: 0 } },
    ], 8)
  })

  on("not on num_gpu -1, temperature, seed, stop or unknown options", {}, function* () {
    yield* reloads([
      { options: { num_gpu: 0 } },
      { options: { num_gpu: -1 } },
      { options: { temperature: 0.1, seed: 1, stop: ["x"], num_keep: 3, use_mlock: true, mirostat: 1 } },
    ], 1)
  })

  on("waits for the running request, admits compatible ones meanwhile, and blocks all requests behind the reload", {
    decodeRate: 1,
  }, function* () {
    const first = yield* ask("tiny-eos", 3)
    yield* TestClock.adjust("1 second")
    const swap = yield* ask("tiny-eos", 1, {}, { num_ctx: 1024 })
    const other = yield* ask("tiny-b", 1)
    const same = yield* ask("tiny-eos", 3)
    yield* TestClock.adjust("2 seconds")
    assert.strictEqual(first.over, "end")
    assert.isUndefined(swap.status)
    // tiny-b would fit beside it, but stands behind the reload in the queue.
    yield* TestClock.adjust("3 seconds")
    assert.strictEqual(same.over, "end")
    assert.isUndefined(other.status)
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual([swap.over, other.over], ["end", "end"])
  })
})

describe("eviction", () => {
  on("takes the shortest keep-alive first, not the least recently used", { maxLoaded: 2 }, function* () {
    yield* load("tiny-eos", { keep_alive: "10m" })
    yield* load("tiny-b", { keep_alive: "1m" })
    yield* load("tiny-loop")
    assert.deepStrictEqual(yield* names, ["tiny-eos:latest", "tiny-loop:latest"])
  })

  on("takes the blob path in order among equals", { maxLoaded: 2 }, function* () {
    yield* load("tiny-eos")
    yield* load("tiny-b")
    yield* load("tiny-loop")
    const [first] = [Model.tinyEos, Model.tinyB].sort((a, b) => a.blob < b.blob ? -1 : 1)
    assert.notInclude(yield* names, first!.name)
  })

  on("takes an idle one before a busy one that would be first", { maxLoaded: 2, decodeRate: 1 }, function* () {
    yield* ask("tiny-eos", 10, { keep_alive: "1m" })
    yield* load("tiny-b", { keep_alive: "10m" })
    yield* load("tiny-loop")
    assert.deepStrictEqual(yield* names, ["tiny-eos:latest", "tiny-loop:latest"])
  })

  on("waits for the first model to be idle when all are busy", { maxLoaded: 2, decodeRate: 1 }, function* () {
    yield* ask("tiny-eos", 2, { keep_alive: "10m" })
    yield* ask("tiny-b", 5, { keep_alive: "1m" })
    const third = yield* load("tiny-loop")
    yield* TestClock.adjust("4 seconds")
    assert.isUndefined(third.status)
    yield* TestClock.adjust("1 second")
    assert.strictEqual(third.over, "end")
    assert.deepStrictEqual(yield* names, ["tiny-eos:latest", "tiny-loop:latest"])
  })

  on("evicts a model with keep-alive for ever last of all", { maxLoaded: 1 }, function* () {
    yield* load("tiny-eos", { keep_alive: -1 })
    yield* load("tiny-b")
    assert.deepStrictEqual(yield* names, ["tiny-b:latest"])
  })

  on("keeps 3 per GPU by default", { gpus: ["24 GiB", "24 GiB"] }, function* () {
    assert.strictEqual((yield* server).settings.maxLoaded, 6)
  })
})
