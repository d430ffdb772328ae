/** Behaviour of a real server that the captures do not show: names, Go's JSON, `/v1` details, model management. */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { zstdCompressSync } from "node:zlib"
import { Model } from "../../src/simulated/SimulatedFleet.ts"
import { lines, on, ps, send, server } from "./support.ts"

const messages = [{ role: "user", content: "hi" }]
const bounded = { options: { num_predict: 2 } }

// deno-lint-ignore no-explicit-any
const errorOf = (text: string): any => JSON.parse(text).error

describe("names", () => {
  const spellings = [
    "tiny-eos",
    "tiny-eos:latest",
    "TINY-EOS",
    "tiny-eos:LATEST",
    "library/tiny-eos",
    "registry.ollama.ai/library/tiny-eos",
    "https://registry.ollama.ai/library/tiny-eos",
    " tiny-eos ",
    "tiny-eos:local",
    "tiny-eos:latest:local",
  ]
  on("all spellings mean one model, repeated as asked, canonical in ps", {}, function* () {
    for (const model of spellings) {
      const heard = yield* send("/api/generate", { model, prompt: "hi", ...bounded, stream: false })
      assert.deepStrictEqual([heard.status, lines(heard)[0]?.["model"]], [200, model])
    }
    assert.deepStrictEqual((yield* ps).map(({ name }) => name), ["tiny-eos:latest"])
    assert.strictEqual((yield* server).counts.loads, 1)
  })

  on("other tags, namespaces and hosts are other models", {}, function* () {
    for (
      const model of ["tiny-eos:8b", "me/tiny-eos", "example.com/library/tiny-eos", "x-cloud", "_", "h:1/n/m.x", "TINY"]
    ) {
      const heard = yield* send("/api/generate", { model, prompt: "hi" })
      assert.deepStrictEqual([heard.status, errorOf(heard.text)], [404, `model '${model}' not found`])
    }
  })

  const invalid = ["m:", "a b", "../x", "a/b/c/d", ":", "/", "x/", "/x", "m:a:b", "a.b/m", "-m", "m@sha256:1", "é"]

  on("texts that are no names are 400, wherever a model is named", {}, function* () {
    for (const model of [...invalid, "x:-cloud", "https://m", "m".repeat(81), "m:.t"]) {
      for (const path of ["/api/generate", "/api/chat", "/api/embed", "/api/embeddings", "/api/show", "/api/pull"]) {
        const heard = yield* send(path, { model, prompt: "hi", messages, input: 5 })
        assert.deepStrictEqual([heard.status, errorOf(heard.text)], [400, "invalid model name"], `${path} ${model}`)
      }
      for (const path of ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"]) {
        const heard = yield* send(path, { model, prompt: "hi", messages, input: "x" })
        assert.deepStrictEqual([heard.status, errorOf(heard.text).message], [400, "invalid model name"], path)
        assert.match(heard.text, /\n$/)
      }
    }
  })

  on("a name cannot have two sources", {}, function* () {
    for (const model of ["m:local:local", "m:cloud:local", "m:8b-cloud:local"]) {
      const heard = yield* send("/api/chat", { model, messages })
      assert.deepStrictEqual(
        [heard.status, errorOf(heard.text)],
        [400, `use either :local or :cloud, not both: "${model}"`],
      )
    }
  })

  on("no name has an answer of its own at each path", {}, function* () {
    for (const model of ["", " ", undefined, null]) {
      const asked = { model, prompt: "x", messages, input: "x" }
      const wanted: ReadonlyArray<readonly [string, number, string]> = [
        ["/api/generate", 404, `model '${model ?? ""}' not found`],
        ["/api/embed", 404, `model '${model ?? ""}' not found`],
        ["/api/chat", 400, "model is required"],
        ["/api/embeddings", 400, "model is required"],
        ["/api/show", 400, "model is required"],
        ["/api/pull", 400, "invalid model name"],
      ]
      for (const [path, status, text] of wanted) {
        const heard = yield* send(path, asked)
        assert.deepStrictEqual([heard.status, errorOf(heard.text)], [status, text], path)
      }
    }
  })

  on("the command line's `name` counts where `model` is empty", {}, function* () {
    const name = "tiny-eos"
    // As Go's client writes it: all fields of the request, also those that are empty.
    const show = { model: "", system: "", template: "", verbose: false, options: null, name }
    assert.strictEqual((yield* send("/api/show", show)).status, 200)
    assert.strictEqual((yield* send("/api/show", { model: null, name })).status, 200)
    assert.strictEqual((yield* send("/api/show", { model: "nope", name })).status, 404)
    const pull = { model: "", username: "", password: "", name }
    assert.include((yield* send("/api/pull", pull)).text, "success")
    assert.include((yield* send("/api/push", { ...pull, stream: true })).text, "not authorized")
    assert.strictEqual((yield* send("/api/create", { model: "", from: name, name: "copied" })).status, 200)
    assert.strictEqual((yield* send("/api/delete", { model: "", name: "copied" }, { method: "DELETE" })).status, 200)
    const gone = yield* send("/api/delete", { model: "", name: "copied" }, { method: "DELETE" })
    assert.deepStrictEqual([gone.status, errorOf(gone.text)], [404, "model 'copied' not found"])
    const bad = yield* send("/api/delete", { model: "", name: "a b" }, { method: "DELETE" })
    assert.deepStrictEqual([bad.status, errorOf(bad.text)], [400, `name "a b" is invalid`])
    assert.strictEqual((yield* send("/api/push", { model: "", name: "" })).status, 400)
  })

  on("cloud models are refused everywhere", {}, function* () {
    for (const model of ["x:cloud", "x:8b-cloud"]) {
      const paths = ["/api/generate", "/api/chat", "/api/embed", "/v1/chat/completions", "/v1/embeddings"]
      const heard = yield* Effect.forEach(paths, (path) => send(path, { model, prompt: "x", messages, input: "x" }))
      assert.deepStrictEqual(heard.map(({ status }) => status), paths.map(() => 403))
    }
  })
})

describe("Go's JSON", () => {
  on("keys in any case, unknown ones ignored, null as absent, trailing garbage ignored", {}, function* () {
    const text = `{"MODEL":"tiny-eos","Prompt":"hi","stream":false,"x":[{"y":"\\u00e9\\n"}],"system":null,` +
      `"OPTIONS":{"num_predict":2}} trailing { garbage`
    const heard = yield* send("/api/generate", text)
    assert.deepStrictEqual([heard.status, lines(heard)[0]?.["response"]], [200, " word00 word01"])
  })

  const problems: ReadonlyArray<readonly [string, string]> = [
    ["  ", "missing request body"],
    ["{", "unexpected EOF"],
    [`{"model":"a`, "unexpected EOF"],
    [`{"model" "a"}`, `invalid character '"' after object key`],
    [`{"model":"a" "b"}`, `invalid character '"' after object key:value pair`],
    [`{"model":nil}`, "invalid character 'i' in literal null (expecting 'u')"],
    [`{"model":"\n"}`, "invalid character '\\n' in string literal"],
    [`{"model":"\\x"}`, "invalid character 'x' in string escape code"],
    [`{"context":[1,2}`, "invalid character '}' after array element"],
    [`{"model":'a'}`, "invalid character '\\'' looking for beginning of value"],
    [`{"model":-}`, "invalid character '}' in numeric literal"],
    ["[]", "json: cannot unmarshal array into Go value of type api.GenerateRequest"],
    [`{"model":1}`, "json: cannot unmarshal number into Go struct field GenerateRequest.model of type string"],
    [`{"stream":"no"}`, "json: cannot unmarshal string into Go struct field GenerateRequest.stream of type bool"],
    [`{"context":[1.5]}`, "json: cannot unmarshal number 1.5 into Go struct field GenerateRequest.context of type int"],
    [
      `{"options":[]}`,
      "json: cannot unmarshal array into Go struct field GenerateRequest.options of type map[string]interface {}",
    ],
  ]
  on("its error texts", {}, function* () {
    for (const [body, problem] of problems) {
      const heard = yield* send("/api/generate", body)
      assert.deepStrictEqual([heard.status, errorOf(heard.text)], [400, problem])
    }
  })

  on("a number in place of a string, on the OpenAI paths", {}, function* () {
    const heard = yield* send("/v1/chat/completions", { model: "tiny-eos", messages: "hi" })
    assert.strictEqual(heard.status, 400)
    assert.include(JSON.stringify(errorOf(heard.text)), "cannot unmarshal string into Go struct field")
  })

  on("options and keep_alive of the wrong types", {}, function* () {
    const cases: ReadonlyArray<readonly [object, number, string]> = [
      [{ options: { temperature: "hot" } }, 500, `option "temperature" must be of type float32`],
      [{ options: { use_mmap: 1 } }, 500, `option "use_mmap" must be of type boolean`],
      [{ options: { stop: "x" } }, 500, `option "stop" must be of type array`],
      [{ keep_alive: "5" }, 400, `time: missing unit in duration "5"`],
      [{ keep_alive: "5y" }, 400, `time: unknown unit "y" in duration "5y"`],
      [{ keep_alive: true }, 400, "Unsupported type: 'bool'"],
    ]
    for (const [more, status, text] of cases) {
      const heard = yield* send("/api/generate", { model: "tiny-eos", prompt: "x", ...more })
      assert.deepStrictEqual([heard.status, errorOf(heard.text)], [status, text])
    }
  })

  on("keep_alive 0 without a prompt unloads, in each spelling that Go reads as 0", {}, function* () {
    const { counts } = yield* server
    for (const keep_alive of [0, -0, 1e-10, "0", "0s", "-0s", "0m0s", "0.0s", ".0h", "0.1ns", "-0.9ns", "0.6ns0.6ns"]) {
      yield* send("/api/generate", { model: "tiny-eos" })
      assert.lengthOf(yield* ps, 1)
      const heard = yield* send("/api/generate", { model: "tiny-eos", keep_alive })
      assert.strictEqual(lines(heard)[0]?.["done_reason"], "unload", `${keep_alive}`)
      assert.lengthOf(yield* ps, 0, `${keep_alive}`)
    }
    const { loads } = counts
    const again = yield* send("/api/chat", { model: "tiny-eos", messages: [], keep_alive: "0m" })
    assert.deepStrictEqual([lines(again)[0]?.["done_reason"], counts.loads], ["unload", loads])
  })

  on("a keep_alive above 0 without a prompt is a load, however short it is", {}, function* () {
    for (const keep_alive of ["1ns", 1e-9, "1ms"]) {
      const heard = yield* send("/api/generate", { model: "tiny-eos", keep_alive })
      assert.strictEqual(lines(heard)[0]?.["done_reason"], "load", `${keep_alive}`)
      yield* TestClock.adjust("10 millis")
      assert.lengthOf(yield* ps, 0, `${keep_alive}`)
    }
    assert.strictEqual((yield* server).counts.loads, 3)
  })

  on("a keep_alive that 64 bits cannot hold in nanoseconds unloads the model at once", {}, function* () {
    yield* send("/api/generate", { model: "tiny-eos", prompt: "hi", keep_alive: 1e10, ...bounded, stream: false })
    assert.lengthOf(yield* ps, 0)
    yield* send("/api/generate", { model: "tiny-eos", prompt: "hi", keep_alive: 9e9, ...bounded, stream: false })
    assert.lengthOf(yield* ps, 1)
  })

  on("reads a body of 1 MiB of escapes", {}, function* () {
    const prompt = '\\u00e9\\"'.repeat(100_000)
    const heard = yield* send(
      "/api/generate",
      `{"model":"tiny-eos","prompt":"${prompt}","options":{"num_predict":1},"stream":false}`,
    )
    assert.strictEqual(lines(heard)[0]?.["prompt_eval_count"], 4096)
  })
})

describe("answers", () => {
  on("stop, length and stop sequences", {}, function* () {
    const ask = (options: object) => send("/api/generate", { model: "tiny-eos", prompt: "hi", stream: false, options })
    const seen = yield* Effect.forEach([
      {},
      { num_predict: 48 },
      { num_predict: 49 },
      { num_predict: -1 },
      { stop: ["word02"] },
    ], ask)
    assert.deepStrictEqual(seen.map((heard) => [lines(heard)[0]?.["done_reason"], lines(heard)[0]?.["eval_count"]]), [
      ["stop", 49],
      ["length", 48],
      ["stop", 49],
      ["stop", 49],
      ["stop", 3],
    ])
    assert.strictEqual(lines(seen[4]!)[0]?.["response"], " word00 word01")
  })

  on("context continues an earlier answer", {}, function* () {
    const first = lines(
      yield* send("/api/generate", { model: "tiny-eos", prompt: "hi", stream: false, ...bounded }),
    )[0]!
    const second = yield* send("/api/generate", {
      model: "tiny-eos",
      prompt: "hi",
      stream: false,
      context: first["context"],
      ...bounded,
    })
    const length = (first["context"] as Array<number>).length
    assert.strictEqual(lines(second)[0]?.["prompt_eval_count"], 25 + length)
  })

  on("a prompt that is too long is cut, or refused with llama-server's JSON inside the text", {}, function* () {
    const prompt = "x".repeat(5000)
    const cut = yield* send("/api/generate", { model: "tiny-eos", prompt, stream: false, ...bounded })
    assert.strictEqual(lines(cut)[0]?.["prompt_eval_count"], 4096)
    const refused = yield* send("/api/generate", { model: "tiny-eos", prompt, truncate: false })
    assert.strictEqual(refused.status, 400)
    assert.strictEqual(JSON.parse(String(errorOf(refused.text))).error.type, "exceed_context_size_error")
    const embed = yield* send("/api/embed", { model: "tiny-embed", input: prompt, truncate: false })
    assert.deepStrictEqual([embed.status, errorOf(embed.text)], [400, "the input length exceeds the context length"])
  })

  on("embeddings: unit vectors, deterministic, cut to dimensions, base64 on request", {}, function* () {
    const embed = (more: object) => send("/api/embed", { model: "tiny-embed", input: "hello", ...more })
    const [full, again, cut] = yield* Effect.forEach([{}, {}, { dimensions: 8 }], embed)
    assert.strictEqual(full!.text, again!.text)
    const [[vector], [short]] = [JSON.parse(full!.text).embeddings, JSON.parse(cut!.text).embeddings]
    assert.deepStrictEqual([vector.length, short.length], [64, 8])
    for (const values of [vector, short]) assert.closeTo(Math.hypot(...values), 1, 1e-6)
    const packed = yield* send("/v1/embeddings", { model: "tiny-embed", input: ["hello"], encoding_format: "base64" })
    const bytes = Buffer.from(JSON.parse(packed.text).data[0].embedding, "base64")
    assert.closeTo(bytes.readFloatLE(0), vector[0], 1e-7)
    assert.strictEqual((yield* send("/api/embed", { model: "tiny-embed", input: [1] })).status, 400)
  })

  on("markup is escaped as Go does", {}, function* () {
    const heard = yield* send("/api/copy", { source: "<a&b>", destination: "x" })
    assert.strictEqual(heard.text, `{"error":"source \\"\\u003ca\\u0026b\\u003e\\" is invalid"}`)
  })

  on("no usage chunk unless asked for; completions in their own shape", {}, function* () {
    const chat = yield* send("/v1/chat/completions", { model: "tiny-eos", messages, stream: true, max_tokens: 2 })
    assert.lengthOf(chat.text.trimEnd().split("\n\n"), 4)
    const text = yield* send("/v1/completions", { model: "tiny-eos", prompt: "hi", stream: true, max_tokens: 1 })
    const [first] = text.text.split("\n\n")
    assert.deepStrictEqual(Object.keys(JSON.parse(first!.slice(6))), [
      "id",
      "object",
      "created",
      "choices",
      "model",
      "system_fingerprint",
    ])
  })

  on("responses in one piece, and messages with blocks and a system prompt", {}, function* () {
    const response = yield* send("/v1/responses", {
      model: "tiny-eos",
      input: [{ role: "user", content: [{ type: "input_text", text: "hi" }] }],
      max_output_tokens: 2,
    })
    const parsed = JSON.parse(response.text)
    assert.deepStrictEqual([parsed.object, parsed.status, parsed.output[0].content[0].text], [
      "response",
      "completed",
      " word00 word01",
    ])
    const message = yield* send("/v1/messages", {
      model: "tiny-eos",
      max_tokens: 100,
      system: [{ type: "text", text: "be" }],
      messages: [{ role: "user", content: [{ type: "text", text: "hi" }] }],
    })
    assert.deepStrictEqual([JSON.parse(message.text).stop_reason, JSON.parse(message.text).usage.output_tokens], [
      "end_turn",
      49,
    ])
  })

  on("zstd bodies on /v1, and only there", {}, function* () {
    const body = zstdCompressSync(JSON.stringify({ model: "tiny-eos", messages, max_tokens: 2 }))
    const headers = ["content-encoding", "zstd"]
    assert.strictEqual((yield* send("/v1/chat/completions", new Uint8Array(body), { headers })).status, 200)
    assert.strictEqual((yield* send("/v1/chat/completions", "not zstd", { headers })).status, 400)
    assert.strictEqual((yield* send("/api/chat", new Uint8Array(body), { headers })).status, 400)
  })
})

describe("disk", () => {
  on("a pull sends its progress, and fails inside a 200", { pullable: [Model.llama31], models: [] }, function* () {
    assert.strictEqual((yield* send("/v1/models")).text, `{"object":"list","data":null}\n`)
    const pulled = lines(yield* send("/api/pull", { name: "llama3.1:8b" }))
    assert.deepStrictEqual(pulled.map(({ status }) => status), [
      "pulling manifest",
      `pulling ${Model.llama31.blob.slice(0, 12)}`,
      "verifying sha256 digest",
      "writing manifest",
      "success",
    ])
    const failed = yield* send("/api/pull", { model: "nope" })
    assert.deepStrictEqual([failed.status, lines(failed)[1]], [200, {
      error: "pull model manifest: file does not exist",
    }])
    assert.strictEqual((yield* send("/api/pull", { model: "nope", stream: false })).status, 500)
  })

  on("tags have all fields of 0.33", { models: [Model.llama31] }, function* () {
    const [tag] = JSON.parse((yield* send("/api/tags")).text).models
    assert.deepStrictEqual(Object.keys(tag), [
      "name",
      "model",
      "modified_at",
      "size",
      "digest",
      "details",
      "capabilities",
    ])
    assert.deepStrictEqual([tag.details.context_length, tag.details.embedding_length], [131072, 4096])
  })

  on("blobs, then a model from one", {}, function* () {
    const weights = new TextEncoder().encode("GGUF general.architecture........bert and so on")
    const digest = `sha256:${Model.sha256(weights)}`
    assert.strictEqual((yield* send(`/api/blobs/${digest}`, undefined, { method: "HEAD" })).status, 404)
    const puts = yield* Effect.forEach([1, 2], () => send(`/api/blobs/${digest}`, weights))
    assert.deepStrictEqual(puts.map(({ status }) => status), [201, 200])
    assert.strictEqual((yield* send(`/api/blobs/${digest}`, undefined, { method: "HEAD" })).status, 200)
    yield* send("/api/create", { model: "mine", files: { "m.gguf": digest } })
    assert.strictEqual((yield* send("/api/embed", { model: "mine", input: "x" })).status, 200)
  })

  on("/api/show has the padded parameters and the name of the blob", {
    models: [Model.model({ name: "own", parameters: { num_ctx: 1024, stop: "x" }, system: "be" })],
  }, function* () {
    const shown = JSON.parse((yield* send("/api/show", { name: "own" })).text)
    assert.strictEqual(shown.parameters, `num_ctx                        1024\nstop                           x`)
    assert.include(shown.modelfile, `FROM /models/blobs/sha256-${Model.sha256("blob of own:latest")}`)
  })
})

describe("paths", () => {
  on("unknown paths, wrong methods, account paths and the root", {}, function* () {
    const seen = yield* Effect.forEach([
      ["/metrics", "GET"],
      ["/api/ps", "HEAD"],
      ["/api/blobs/sha256:x", "GET"],
      ["/api/me", "POST"],
      ["/v1/models/nope", "GET"],
      ["/", "GET"],
      ["/", "HEAD"],
      ["/api/version?x=1", "GET"],
    ], ([path, method]) => send(path!, undefined, { method: method! }))
    assert.deepStrictEqual(seen.map(({ status }) => status), [404, 405, 405, 401, 404, 200, 200, 200])
    assert.strictEqual(seen[2]!.headers["allow"], "HEAD, POST")
    assert.include(seen[4]!.text, "model 'nope:latest' not found")
    assert.deepStrictEqual([seen[5]!.text, seen[6]!.text], ["Ollama is running", ""])
  })

  on("a preflight is answered for allowed origins only", {}, function* () {
    const ask = (origin: string) => send("/api/chat", undefined, { method: "OPTIONS", headers: ["Origin", origin] })
    const [allowed, refused] = yield* Effect.forEach(["app://x", "https://evil.example"], ask)
    assert.deepStrictEqual([allowed!.status, refused!.status], [204, 403])
    assert.include(allowed!.headers["access-control-allow-methods"], "POST")
    for (const origin of ["chrome-extension://x", "moz-extension://x", "safari-web-extension://x", "http://[::1]:1"]) {
      assert.strictEqual((yield* ask(origin)).status, 403, origin)
    }
  })

  on("a foreign name as `Host` is refused", {}, function* () {
    for (const [host, status] of [["evil.example", 403], ["169.254.0.1", 403], ["box.local:1", 200]] as const) {
      assert.strictEqual((yield* send("/api/version", undefined, { headers: ["Host", host] })).status, status, host)
    }
  })
})

describe("calls that change a server", () => {
  on("an error before the first line has a real status, one after it is a line", {}, function* () {
    const none = yield* send("/api/create", { model: "x" })
    assert.deepStrictEqual([none.status, none.headers["content-type"]], [400, "application/json"])
    assert.strictEqual(errorOf(none.text), "neither 'from' or 'files' was specified")
    const push = yield* send("/api/push", { model: "nope" })
    assert.deepStrictEqual([push.status, push.headers["content-type"]], [200, "application/x-ndjson"])
    assert.deepStrictEqual(lines(push), [
      { status: "retrieving manifest" },
      { status: "couldn't retrieve manifest" },
      { error: "open /models/manifests/registry.ollama.ai/library/nope/latest: no such file or directory" },
    ])
    const whole = yield* send("/api/pull", { model: "nope", stream: false })
    assert.deepStrictEqual([whole.status, whole.headers["content-type"]], [500, "application/json"])
    assert.strictEqual((yield* send("/api/create", { model: "x", stream: false })).status, 400)
    const from = yield* send("/api/create", { model: "x", from: "nope" })
    assert.deepStrictEqual(lines(from)[0], { status: "pulling manifest" })
  })

  on("a cloud name is that of no model on disk", {}, function* () {
    const gone = yield* send("/api/delete", { model: "tiny-eos:cloud" }, { method: "DELETE" })
    assert.strictEqual(gone.status, 404)
    assert.isDefined((yield* server).disk.find("tiny-eos"))
    const shown = yield* send("/api/show", { model: "tiny-eos:cloud" })
    assert.deepStrictEqual(
      [shown.status, errorOf(shown.text)],
      [403, "ollama cloud is disabled: remote model details are unavailable"],
    )
  })

  on("accounts and the web", {}, function* () {
    const answer = (path: string, body?: object, method = "POST") =>
      Effect.map(send(path, body, { method }), (heard) => [heard.status, errorOf(heard.text)])
    assert.deepStrictEqual(yield* answer("/api/me"), [401, "unauthorized"])
    assert.deepStrictEqual(yield* answer("/api/signout"), [401, "you are not currently signed in"])
    assert.deepStrictEqual(yield* answer("/api/user/keys/x", undefined, "DELETE"), [
      401,
      "you are not currently signed in",
    ])
    assert.deepStrictEqual(yield* answer("/api/experimental/web_search"), [400, "missing request body"])
    assert.deepStrictEqual(yield* answer("/api/experimental/web_search", { query: "x" }), [
      403,
      "ollama cloud is disabled: web search is unavailable",
    ])
  })

  on("what a generation may not ask for", {}, function* () {
    const ask = (more: object) =>
      Effect.map(
        send("/api/generate", { model: "tiny-eos", prompt: "x", ...more }),
        ({ status, text }) => [status, errorOf(text)],
      )
    const raw = "raw mode does not support template, system, or context"
    for (const more of [{ system: "s" }, { template: "t" }, { context: [1] }]) {
      assert.deepStrictEqual(yield* ask({ raw: true, ...more }), [400, raw])
    }
    for (const count of [-1, 21]) {
      assert.deepStrictEqual(yield* ask({ top_logprobs: count, model: "nope" }), [
        400,
        "top_logprobs must be between 0 and 20",
      ])
    }
  })
})

describe("the call log", () => {
  on("is bounded, and drops the oldest calls", { callsMax: 3 }, function* () {
    const simulated = yield* server
    for (let index = 0; index < 5; index++) yield* send(`/api/version?${index}`)
    assert.deepStrictEqual(simulated.calls.map(({ path }) => path), [2, 3, 4].map((index) => `/api/version?${index}`))
    assert.isTrue(simulated.calls.every(({ state, status }) => state === "done" && status === 200))
  })
})
