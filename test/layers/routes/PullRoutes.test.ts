/** Pulls through the router, over simulated servers: what is allowed, one pull at a time, and what each client gets. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Fiber, Layer, Scope, Stream } from "effect"
import { HttpEffect, HttpRouter, type HttpServerRequest } from "effect/http"
import * as StaticApiKeys from "../../../src/layers/keys/StaticApiKeys.ts"
import * as KeyedRoutes from "../../../src/layers/routes/KeyedRoutes.ts"
import * as ManagementRoutes from "../../../src/layers/routes/ManagementRoutes.ts"
import { Pull, PullError, send } from "../../../src/layers/routes/ModelPull.ts"
import * as PullRoutes from "../../../src/layers/routes/PullRoutes.ts"
import * as Allowed from "../../../src/layers/routes/pulls/allowed.ts"
import { records } from "../../../src/layers/routes/pulls/watch.ts"
import { backend } from "../../../src/services/Fleet.ts"
import { ModelCatalog } from "../../../src/services/ModelCatalog.ts"
import { Transport } from "../../../src/services/Transport.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import { elapse } from "../../../src/testing/elapse.ts"
import { over, url } from "../../support/routers.ts"
import { cannedTransport } from "../../support/transport.ts"

const fresh = SimulatedFleet.Model.model({ name: "new:1b", size: 1000 })
/** A pull takes ten seconds. */
const empty: SimulatedFleet.ServerOptions = { models: [], pullable: [fresh], pullBandwidth: 100 }
const { Fault } = SimulatedFleet

interface Client {
  status: number
  type: string | null
  readonly records: Array<Readonly<Record<string, unknown>>>
  over: boolean
  readonly leave: () => void
}

/** The promises of the web handler need turns of the event loop, which the TestClock does not give. */
const turn = Effect.promise(() => new Promise<void>((resolve) => setTimeout(resolve, 0)))
const until = Effect.fnUntraced(function* (holds: () => boolean) {
  for (let i = 0; i < 5000 && !holds(); i++) yield* turn
  assert.isTrue(holds(), "what was waited for has not come")
})

const setUp = Effect.fnUntraced(function* (
  servers: Readonly<Record<string, SimulatedFleet.ServerOptions>>,
  options?: Partial<PullRoutes.Options>,
  keyed = false,
) {
  const services = yield* Layer.build(
    Layer.merge(
      over(servers),
      StaticApiKeys.layer([
        { id: "k", secret: { key: "sk-1" } },
        { id: "other", secret: { key: "sk-2" }, models: ["other"] },
      ]),
    ),
  )
  const scope = yield* Scope.make()
  const app = Layer.mergeAll(
    PullRoutes.layer({ allowed: ["new*", "other"], ...options }),
    ManagementRoutes.layerWithoutPull,
    keyed ? KeyedRoutes.layer() : Layer.empty,
  ).pipe(Layer.provide(Layer.succeedContext(services)))
  const routes = yield* Effect.provideService(HttpRouter.toHttpEffect(app), Scope.Scope, scope)
  const fetch = HttpEffect.toWebHandlerWith<never, HttpServerRequest.HttpServerRequest | Scope.Scope>(services)(
    Effect.orDie(routes),
  )
  yield* elapse("1 second")

  const ask = (body: object | string, headers: Record<string, string> = {}): Client => {
    const aborts = new AbortController()
    const client: Client = { status: 0, type: null, records: [], over: false, leave: () => aborts.abort() }
    const request = new Request("http://llamero/api/pull", {
      method: "POST",
      headers,
      body: typeof body === "string" ? body : JSON.stringify(body),
      signal: aborts.signal,
    })
    const read = async () => {
      const response = await fetch(request)
      client.type = response.headers.get("content-type")
      client.status = response.status
      let rest = ""
      const decoder = new TextDecoder()
      for await (const chunk of response.body!) {
        const lines = (rest + decoder.decode(chunk)).split("\n")
        rest = lines.pop()!
        for (const line of lines) client.records.push(JSON.parse(line))
      }
      if (rest !== "") client.records.push(JSON.parse(rest))
    }
    read().catch(() => {}).finally(() => void (client.over = true))
    return client
  }
  /** Asks, and lets time pass until the answer is there. */
  const whole = Effect.fnUntraced(function* (body: object | string, headers?: Record<string, string>) {
    const client = ask(body, headers)
    for (let i = 0; i < 1000 && !client.over; i++) {
      yield* turn
      yield* elapse("500 millis")
    }
    yield* until(() => client.over)
    return client
  })
  const server = (id: string) => Context.get(services, SimulatedFleet.SimulatedFleet).get(url(id))
  const pulls = (id: string): number => server(id).calls.filter(({ path }) => path === "/api/pull").length
  const models = () => Context.get(services, ModelCatalog).models()
  return { ask, whole, server, pulls, models, scope }
})

describe("which models may be pulled", () => {
  const cases: ReadonlyArray<readonly [string, string, boolean]> = [
    ["llama3.1:8b", "LLAMA3.1:8b", true],
    ["llama3.1:8b", "registry.ollama.ai/library/llama3.1:8b", true],
    ["llama3.1:8b", "llama3.1:70b", false],
    ["llama3.1:8b", "evil.example/library/llama3.1:8b", false],
    ["mistral", "mistral:latest", true],
    ["mistral", "mistral:7b", false],
    ["qwen3*", "qwen3:4b", true],
    ["qwen3*", "library/qwen3-coder:30b", true],
    ["library/qwen3*", "qwen3:4b", true],
    ["qwen3*", "qwen2:4b", false],
    ["qwen3*", "qwen3.evil.example/some/thing", false],
    ["qwen3*", "qwen3/thing", false],
    ["qwen3*", "qwen3:480b-cloud", false],
    ["qwen3:480b-cloud", "qwen3:480b-cloud", true],
    ["someone/*", "someone/thing:1b", true],
    ["someone/*", "someoneelse/thing:1b", false],
    ["hf.co/*", "hf.co/Who/What-GGUF:Q4_K_M", true],
    ["hf.co/who/what*", "hf.co/Who/What-GGUF:Q4_K_M", true],
    ["hf.co/who/*", "hf.co/whoever/what", false],
    ["*", "anything", true],
    ["*", "someone/anything", false],
    ["*", "evil.example/some/thing", false],
  ]
  for (const [entry, name, allowed] of cases) {
    it(`${entry}: ${name} ${allowed ? "may" : "may not"}`, () => {
      assert.strictEqual(Allowed.make([entry])(name), allowed)
    })
  }

  it("an ambiguous name is refused, as a model and in the list", () => {
    for (const name of ["", " ", "a b", "evil.example/a/b://new", "a//b", "a/b/c/d", "a\nb", "new/", "/new", "new?x"]) {
      assert.isUndefined(Allowed.nameOf(name), name)
    }
    assert.strictEqual(Allowed.nameOf(" https://hf.co/Who/What:Q4 "), "hf.co/Who/What:Q4")
    for (const entry of ["", "a*b", "a b*", "**"]) {
      assert.isFalse(Allowed.isPattern(entry))
      assert.throws(() => Allowed.make([entry]), RangeError)
    }
  })
})

describe("PullRoutes", () => {
  it.effect("sends Ollama's own records and success, and the catalog has the model", () =>
    Effect.gen(function* () {
      const { models, pulls, whole } = yield* setUp({ a: empty })
      assert.deepStrictEqual(models(), [])
      const { records, status, type } = yield* whole({ name: "NEW:1b" })
      assert.deepStrictEqual([status, type], [200, "application/x-ndjson"])
      const layer = `pulling ${fresh.blob.slice(0, 12)}`
      const steps = records.map((record) => record["status"])
      assert.deepStrictEqual([...new Set(steps)], [
        "pulling manifest",
        layer,
        "verifying sha256 digest",
        "writing manifest",
        "success",
      ])
      const sizes = records.flatMap((record) => record["status"] === layer ? [record["completed"] ?? -1] : [])
      assert.deepStrictEqual(sizes, [...new Set(sizes)].sort((x, y) => Number(x) - Number(y)))
      assert.isAbove(sizes.length, 5)
      assert.strictEqual(sizes.at(-1), 1000)
      assert.deepStrictEqual(records.find((record) => record["completed"] === 1000), {
        status: layer,
        digest: `sha256:${fresh.blob}`,
        total: 1000,
        completed: 1000,
      })
      assert.deepStrictEqual(models().map(({ key }) => key), ["new:1b"])
      assert.strictEqual(pulls("a"), 1)
    }))

  it.effect("one pull for all spellings; a later client sees its progress; a client that leaves does not end it", () =>
    Effect.gen(function* () {
      const { ask, models, pulls, whole } = yield* setUp({ a: empty })
      const first = ask({ model: "new:1b" })
      const second = ask({ model: "library/NEW:1b" })
      yield* until(() => pulls("a") === 1)
      yield* elapse("5 seconds")
      yield* until(() => first.records.length > 3 && second.records.length > 3)
      const late = ask({ model: "https://registry.ollama.ai/library/new:1b" })
      yield* until(() => late.records.length >= 2)
      assert.deepStrictEqual(late.records[0], { status: "pulling manifest" })
      assert.isAtLeast(Number(late.records[1]!["completed"]), 400)
      for (const client of [first, second, late]) client.leave()
      yield* until(() => first.over && second.over && late.over)
      yield* elapse("2 seconds")
      const last = yield* whole({ model: "new:1b", stream: false })
      assert.strictEqual(last.type, "application/json")
      assert.deepStrictEqual([last.status, last.records], [200, [{ status: "success" }]])
      assert.strictEqual(pulls("a"), 1)
      assert.deepStrictEqual(models().map(({ key }) => key), ["new:1b"])
      // The pull is over. The next client starts another one, which finds the whole model.
      yield* whole({ model: "new:1b" })
      assert.strictEqual(pulls("a"), 2)
    }))

  it.effect("continues to its end when the last client has left", () =>
    Effect.gen(function* () {
      const { ask, models, pulls } = yield* setUp({ a: empty })
      const only = ask({ model: "new:1b" })
      yield* until(() => pulls("a") === 1)
      only.leave()
      yield* until(() => only.over)
      yield* elapse("15 seconds")
      assert.deepStrictEqual(models().map(({ key }) => key), ["new:1b"])
    }))

  it.effect("pulls on every backend with one progress that never goes back; success comes once and last", () =>
    Effect.gen(function* () {
      const { ask, models, pulls, server } = yield* setUp({ a: empty, b: { ...empty, pullBandwidth: 50 } })
      const client = ask({ model: "new:1b" })
      yield* until(() => pulls("a") + pulls("b") === 2)
      yield* elapse("12 seconds")
      const { records } = client
      // The first backend has the whole model, so the progress is that of the second.
      yield* until(() => Number(records.at(-1)?.["completed"]) > 500)
      assert.isDefined(server("a").disk.find("new:1b"))
      assert.isBelow(Number(records.at(-1)!["completed"]), 700)
      yield* elapse("10 seconds")
      yield* until(() => client.over)
      assert.deepStrictEqual([pulls("a"), pulls("b")], [1, 1])
      const said = records.map((record) => `${record["status"]} ${record["completed"] ?? ""}`)
      assert.deepStrictEqual(said, [...new Set(said)])
      assert.deepStrictEqual(records.flatMap((record, i) => record["status"] === "success" ? [i] : []), [
        said.length - 1,
      ])
      assert.deepStrictEqual([...models()[0]!.owners.keys()].sort(), ["a", "b"])
    }))

  it.effect("pulls on the backends that the option chooses", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const { pulls, whole } = yield* setUp({ a: empty, b: empty }, {
        backends: ({ id }, model) => {
          seen.push(model)
          return id === "b"
        },
      })
      yield* whole({ model: "NEW:1b" })
      assert.deepStrictEqual([pulls("a"), pulls("b")], [0, 1])
      assert.deepStrictEqual(seen, ["new:1b", "new:1b"])
    }))

  it.effect("403, 400, 405: no call to a backend", () =>
    Effect.gen(function* () {
      const { pulls, whole } = yield* setUp({ a: {} })
      const refused = yield* whole({ model: "old:1b" })
      const missing = "model 'old:1b' not found, and pull of 'old:1b' is not allowed"
      assert.deepStrictEqual([refused.status, refused.records], [403, [{ error: missing }]])
      const held = yield* whole({ model: "", name: "Tiny-EOS" })
      assert.deepStrictEqual([held.status, held.records], [403, [{ error: "pull of 'Tiny-EOS' is not allowed" }]])
      const twice = yield* whole({ model: "new:local:local" })
      assert.deepStrictEqual(twice.records, [{ error: `use either :local or :cloud, not both: "new:local:local"` }])
      for (const body of ["{", "{}", { model: "" }, { model: "a b" }, { model: "new:" }, { model: 7 }]) {
        const wrong = yield* whole(body)
        assert.deepStrictEqual([wrong.status, wrong.records], [400, [{ error: "invalid model name" }]])
      }
      assert.strictEqual(pulls("a"), 0)
    }))

  it.effect("errors in Ollama's own words, as a record or a 500; names the backends if only some failed", () =>
    Effect.gen(function* () {
      const { server, whole } = yield* setUp({ a: empty, b: empty })
      const error = "pull model manifest: file does not exist"
      const streamed = yield* whole({ model: "other" })
      assert.deepStrictEqual([streamed.status, streamed.records], [200, [{ status: "pulling manifest" }, { error }]])
      const plain = yield* whole({ model: "other", stream: false })
      assert.deepStrictEqual([plain.status, plain.records], [500, [{ error }]])
      server("b").script(Fault.answer({ status: 500, contentType: "text/html", body: "<h1>no</h1>" }), {
        path: "/api/pull",
        times: 1,
      })
      const half = yield* whole({ model: "new:1b", stream: false })
      assert.deepStrictEqual(half.records, [{ error: "not pulled everywhere: b: the backend answered 500" }])
    }))

  it.effect("a pull on a silent backend ends at the time limit, and the next client starts a new one", () =>
    Effect.gen(function* () {
      const { pulls, server, whole } = yield* setUp({ a: empty }, { timeLimit: "20 seconds" })
      server("a").script(Fault.hang, { path: "/api/pull", times: 1 })
      const late = yield* whole({ model: "new:1b" })
      assert.deepStrictEqual(late.records, [{ error: "not pulled within 20s" }])
      const again = yield* whole({ model: "new:1b" })
      assert.deepStrictEqual(again.records.at(-1), { status: "success" })
      assert.strictEqual(pulls("a"), 2)
    }))

  it.effect("the end of the router ends a pull with an error for its clients", () =>
    Effect.gen(function* () {
      const { ask, pulls, scope, server } = yield* setUp({ a: empty })
      const client = ask({ model: "new:1b", stream: false })
      yield* until(() => pulls("a") === 1)
      yield* Scope.close(scope, yield* Effect.exit(Effect.void))
      yield* until(() => client.over)
      assert.deepStrictEqual(client.records, [{ error: "the pull was stopped" }])
      yield* elapse("1 minute")
      assert.isUndefined(server("a").disk.find("new:1b"))
    }))

  it.effect("joins records that come in pieces, and leaves out lines that are no record", () =>
    Effect.gen(function* () {
      const sent = [`{"status":"pulling manifest"}`, "", "no record", `{"status":"writing manifest"}`]
      const pieces = cannedTransport(() => ({ body: [...sent, `{"status":"success"}`].join("\n") }))
      const transport = Context.get(yield* Layer.build(pieces), Transport)
      const pull = new Pull(backend({ url: url("a"), id: "a" }))
      yield* send(transport, pull, "new", Duration.seconds(1))
      assert.deepStrictEqual(pull.steps().map(({ text }) => text), [sent[0], sent[3]])
    }))

  it.effect("a failed pull does not hold back the progress; nothing is read while nothing changes", () =>
    Effect.gen(function* () {
      let looks = 0
      class Watched extends Pull {
        override get changed() {
          looks++
          return super.changed
        }
      }
      const [a, b] = [
        new Watched(backend({ url: url("a"), id: "a" })),
        new Watched(backend({ url: url("b"), id: "b" })),
      ]
      const told: Array<string> = []
      const fiber = yield* Effect.forkChild(
        Stream.runForEach(records([a, b]), (line) => Effect.sync(() => told.push(line))),
      )
      const at = (pull: Pull, completed: number) => pull.add({ key: "layer", completed, text: `at ${completed}` })
      at(a, 10)
      at(b, 20)
      yield* until(() => told.length === 1)
      for (let i = 0; i < 20; i++) yield* turn
      assert.isBelow(looks, 10)
      a.finish(Effect.fail(new PullError({ backend: "a", description: "no" })))
      yield* until(() => told.length === 2)
      b.finish(Effect.void)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(told.map((line) => line.trim()), [
        "at 10",
        "at 20",
        `{"error":"not pulled everywhere: a: no"}`,
      ])
    }))

  it.effect("needs a key where keys are required", () =>
    Effect.gen(function* () {
      const { pulls, whole } = yield* setUp({ a: empty }, {}, true)
      assert.strictEqual((yield* whole({ model: "new:1b" })).status, 401)
      const foreign = yield* whole({ model: "new:1b" }, { authorization: "Bearer sk-2" })
      const error = "this API key is not for the model 'new:1b'"
      assert.deepStrictEqual([foreign.status, foreign.records], [403, [{ error }]])
      assert.strictEqual(pulls("a"), 0)
      assert.strictEqual((yield* whole({ model: "new:1b" }, { authorization: "Bearer sk-1" })).status, 200)
    }))
})
