/** Every habit of Ollama's scheduler that a router has to know, one test each, on the test clock. */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { Model } from "../../src/layers/SimulatedFleet.ts"
import { type Heard, lines, on, ps, send, server } from "./SimulatedSupport.ts"

const gib = 1024 ** 3
const names = Effect.map(ps, (models) => models.map(({ name }) => name).sort())

/** A prompt that takes `tokens` tokens' time. */
const ask = (model: string, tokens = 1, more: object = {}, options: object = {}) =>
  send("/api/generate", { model, prompt: "hi", options: { num_predict: tokens, ...options }, ...more })

const load = (model: string, more: object = {}) => send("/api/generate", { model, ...more })

const started = (heard: Heard): boolean => heard.status === 200

/** Small enough to fit twice into 24 GiB at 80 %, and not three times. */
const middling = (name: string) =>
  Model.model({ name, size: 9 * gib, blocks: 32, overhead: 0, blob: Model.sha256(name), contextTrained: 4096 })

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

  on("is first in, first out, whatever is loaded", { loadTime: "1 second", maxLoaded: 1 }, function* () {
    yield* load("tiny-eos")
    yield* TestClock.adjust("1 second")
    const heard = yield* Effect.forEach(["tiny-b", "tiny-eos", "tiny-b"], (model) => ask(model))
    // One swap could serve both requests for tiny-b; Ollama swaps three times.
    for (const expected of [[true, false, false], [true, true, false], [true, true, true]]) {
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(heard.map(started), expected)
    }
  })

  on("says nothing while it loads: no status, no bytes", { loadTime: "4 seconds" }, function* () {
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
    assert.isTrue(heard.every(({ over }) => over === "end"))
  })

  on("serves as many at a time as OLLAMA_NUM_PARALLEL says", { decodeRate: 1, parallelism: 2 }, function* () {
    const heard = yield* Effect.forEach(Array.from({ length: 3 }), () => ask("tiny-eos"))
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(heard.map(({ over }) => over), ["end", "end", undefined])
  })

  on("serves one at a time for embedders, whatever it says", { prefillRate: 7, parallelism: 4 }, function* () {
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

describe("residency", () => {
  on("does not list a model that is being loaded", { loadTime: "4 seconds" }, function* () {
    yield* ask("tiny-eos")
    yield* TestClock.adjust("3 seconds")
    assert.deepStrictEqual(yield* names, [])
    assert.strictEqual((yield* server).loading?.name, "tiny-eos:latest")
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(yield* names, ["tiny-eos:latest"])
  })

  on("goes by blob, not by name: ps shows whoever loaded it", {
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

  on("answers an unload of what is not loaded, and of embedders", {}, function* () {
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

  on("waits for the running request, admits compatible ones meanwhile, and blocks everyone behind", {
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

  on("waits for the first when all are busy", { maxLoaded: 2, decodeRate: 1 }, function* () {
    yield* ask("tiny-eos", 2, { keep_alive: "10m" })
    yield* ask("tiny-b", 5, { keep_alive: "1m" })
    const third = yield* load("tiny-loop")
    yield* TestClock.adjust("4 seconds")
    assert.isUndefined(third.status)
    yield* TestClock.adjust("1 second")
    assert.strictEqual(third.over, "end")
    assert.deepStrictEqual(yield* names, ["tiny-eos:latest", "tiny-loop:latest"])
  })

  on("evicts even for ever, last of all", { maxLoaded: 1 }, function* () {
    yield* load("tiny-eos", { keep_alive: -1 })
    yield* load("tiny-b")
    assert.deepStrictEqual(yield* names, ["tiny-b:latest"])
  })

  on("keeps 3 per GPU by default", { gpus: ["24 GiB", "24 GiB"] }, function* () {
    assert.strictEqual((yield* server).settings.maxLoaded, 6)
  })
})

describe("a load and its client", () => {
  on("dies with the client, and the next one starts from nothing", { loadTime: "4 seconds" }, function* () {
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

  on("leaves no trace when a waiting client goes", { decodeRate: 1 }, function* () {
    yield* ask("tiny-eos", 5)
    const waiting = yield* ask("tiny-eos", 5)
    const last = yield* ask("tiny-eos", 1)
    waiting.upstream?.abort()
    yield* TestClock.adjust("6 seconds")
    assert.strictEqual(last.over, "end")
    const [resident] = (yield* server).resident
    assert.deepStrictEqual([resident?.refs, resident?.active, resident?.waiting], [0, 0, 0])
  })

  on("stops generating within a token of the client's leaving, stream or not", { decodeRate: 1 }, function* () {
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
  })

  on("an answer without end can be stopped when it takes no time", {}, function* () {
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

describe("GPU memory", () => {
  const cards = { gpus: ["24 GiB"], models: ["a", "b", "c"].map(middling) } as const

  on("evicts what does not fit into 80 % of what is free, and waits 250 ms at least", cards, function* () {
    yield* load("a")
    yield* load("b")
    assert.deepStrictEqual(yield* names, ["a:latest", "b:latest"])
    const third = yield* load("c")
    assert.isUndefined(third.status)
    yield* TestClock.adjust("249 millis")
    assert.isUndefined(third.status)
    yield* TestClock.adjust("1 milli")
    assert.strictEqual(third.over, "end")
    assert.lengthOf(yield* names, 2)
  })

  on("waits for memory to come back, looking every 250 ms", { ...cards, releaseTime: "1100 millis" }, function* () {
    yield* load("a")
    yield* load("b")
    const third = yield* load("c")
    yield* TestClock.adjust("1249 millis")
    assert.isUndefined(third.status)
    yield* TestClock.adjust("1 milli")
    assert.strictEqual(third.over, "end")
  })

  on("gives up waiting after 5 s: a 2 s load then costs 7 s", {
    ...cards,
    maxLoaded: 1,
    loadTime: "2 seconds",
    releaseTime: "Infinity",
  }, function* () {
    yield* load("a")
    yield* TestClock.adjust("2 seconds")
    const second = yield* load("b")
    yield* TestClock.adjust("6999 millis")
    assert.isUndefined(second.status)
    yield* TestClock.adjust("1 milli")
    assert.strictEqual(second.over, "end")
  })

  on("spills to the CPU without a word, and is slower there", {
    gpus: ["4 GiB"],
    models: [middling("a")],
    decodeRate: 10,
  }, function* () {
    const heard = yield* ask("a", 1)
    yield* TestClock.adjust("100 millis")
    assert.isUndefined(heard.status)
    yield* TestClock.adjust("1 second")
    assert.strictEqual(heard.over, "end")
    const [row] = yield* ps
    assert.isBelow(row!.size_vram, row!.size)
    assert.isAbove(row!.size_vram, 3 * gib)
  })

  on("puts nothing on a GPU with num_gpu 0", cards, function* () {
    yield* load("a", { options: { num_gpu: 0 } })
    assert.strictEqual((yield* ps)[0]!.size_vram, 0)
    assert.strictEqual((yield* server).gpus[0]!.used, 0)
  })

  on("dies of a fixed number of layers that do not fit", { gpus: ["4 GiB"], models: [middling("a")] }, function* () {
    const heard = yield* load("a", { options: { num_gpu: 33 } })
    assert.strictEqual(heard.status, 500)
    assert.include(heard.text, "cudaMalloc failed: out of memory")
  })

  on("prefers the card with most room, and main_gpu above all", {
    gpus: ["24 GiB", "48 GiB"],
    models: ["a", "b"].map(middling),
  }, function* () {
    yield* load("a")
    yield* load("b", { options: { main_gpu: 0 } })
    assert.isTrue((yield* server).gpus.every(({ used }) => used > 9 * gib && used < 10 * gib))
  })

  on(
    "is kept per runner: context times parallelism",
    { gpus: ["80 GiB"], models: [Model.llama31], parallelism: 2 },
    function* () {
      yield* load("llama3.1:8b", { options: { num_ctx: 8192 } })
      const one = (yield* ps)[0]!.size
      yield* load("llama3.1:8b", { options: { num_ctx: 16384 } })
      yield* TestClock.adjust("250 millis")
      // 128 KiB per token.
      assert.strictEqual((yield* ps)[0]!.size - one, 8192 * 2 * 128 * 1024)
    },
  )

  for (const [gpus, context] of [["8 GiB", 4096], ["24 GiB", 32768], ["80 GiB", 131072]] as const) {
    on(`chooses a context of ${context} with ${gpus}`, { gpus: [gpus], models: [Model.llama31] }, function* () {
      yield* load("llama3.1:8b")
      assert.strictEqual((yield* ps)[0]!.context_length, context)
    })
  }

  on("takes OLLAMA_CONTEXT_LENGTH, the model's own num_ctx, and the request's, each above the last", {
    contextLength: 512,
    models: [Model.tinyEos, Model.model({ name: "own", parameters: { num_ctx: 1024 } })],
  }, function* () {
    yield* load("tiny-eos")
    yield* load("own")
    assert.deepStrictEqual((yield* ps).map((row) => row.context_length).sort(), [1024, 512])
    yield* load("own", { options: { num_ctx: 2048 } })
    assert.deepStrictEqual((yield* ps).map((row) => row.context_length).sort(), [2048, 512])
  })
})

describe("time", () => {
  on("load_duration has the wait for the runner in it, and total_duration the wait for the slot", {
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
