/** The commands that read a router, against the reference server in front of a simulated fleet. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { run as runWith } from "../../support/llamero.ts"
import { llama31, mistral, serve, token } from "../../support/statusFleet.ts"

type Router = Effect.Success<ReturnType<typeof serve>>

const runOn = ({ url }: Router) => (line: string | ReadonlyArray<string>) =>
  runWith(line, { LLAMERO_URL: url, LLAMERO_ADMIN_TOKEN: token })

/** A chat, and the id of its request. */
const chat = (url: string, model: string, id: string): Effect.Effect<number> =>
  Effect.promise(async () => {
    const answer = await fetch(`${url}/api/chat`, {
      method: "POST",
      headers: { "x-request-id": id },
      body: JSON.stringify({ model, stream: false, messages: [{ role: "user", content: "Why?" }] }),
    })
    await answer.text()
    return answer.status
  })

/** Waits until the router knows the models of its backends. */
const known = (run: ReturnType<typeof runOn>) =>
  Effect.gen(function* () {
    for (let i = 0; i < 200; i++) {
      const { json } = yield* run("models --json")
      if (json.models.length === 3 && json.models[0].backends.length === 3) return
      yield* Effect.sleep("20 millis")
    }
    return assert.fail("the models are not known")
  })

const lines = (text: string): ReadonlyArray<string> => text.split("\n")

describe("the commands that read a router", () => {
  it.live("backends, models, ps, queues, prewarm, changes and log print tables, and the same as JSON", () =>
    Effect.gen(function* () {
      const router = yield* serve({ backends: 3 })
      const run = runOn(router)
      yield* known(run)
      assert.strictEqual(yield* chat(router.url, llama31.name, "first"), 200)

      const backends = yield* run("backends")
      assert.match(
        lines(backends.out)[0]!,
        /^BACKEND +STATE +BREAKER +STREAMS +LOADED +FREE +FIRST BYTE +OLLAMA +URL +WHY$/,
      )
      assert.match(backends.out, /^node-001 +healthy +closed +0\/8 /m)
      assert.strictEqual(lines(backends.out).length, 4)
      const backendsJson = (yield* run("backends --json")).json
      assert.deepStrictEqual(backendsJson.backends.map(({ id }: { id: string }) => id), [
        "node-001",
        "node-002",
        "node-003",
      ])

      const models = yield* run("models")
      assert.match(
        models.out,
        new RegExp(`^${llama31.name} +[\\d.]+ GiB +all 3 +node-00\\d +${llama31.digest.slice(0, 12)}`, "m"),
      )
      const { models: listed } = (yield* run("models --json")).json
      const llama = listed.find(({ model }: { model: string }) => model === llama31.name)
      assert.strictEqual(llama.backends.length, 3)
      assert.strictEqual(llama.loaded.length, 1)
      assert.deepStrictEqual(listed.find(({ model }: { model: string }) => model === mistral.name).loaded, [])

      const ps = yield* run("ps")
      assert.match(
        ps.out,
        new RegExp(`^node-00\\d +${llama31.name} +loaded +[\\d.]+ GiB +100% GPU +[\\d,]+ +0/4 +never +GPU-.*GiB$`, "m"),
      )
      const [loaded] = (yield* run("ps --json")).json.models
      assert.deepInclude(loaded, { backend: llama.loaded[0], model: llama31.name, state: "resident", pinned: false })
      assert.isAbove(loaded.devices[0].bytes, 2 ** 30)

      assert.strictEqual((yield* run("queues")).out, "No request waits.")
      assert.deepStrictEqual((yield* run("queues --json")).json, { queues: [] })
      assert.strictEqual((yield* run("prewarm")).out, "No plan wants a model in memory.")
      assert.deepInclude((yield* run("prewarm --json")).json, { prewarm: [] })
      assert.strictEqual((yield* run("changes")).out, "No operator has changed anything.")
      assert.deepStrictEqual((yield* run("changes --json")).json, { changes: [] })
      assert.match((yield* run("log")).out, /^level none, \d+ % of the requests without an error$/)
      assert.deepInclude((yield* run("log --json")).json, { level: "None" })
    }))

  it.live("decisions lists the last requests, and says why one went where it went", () =>
    Effect.gen(function* () {
      const router = yield* serve({ backends: 1 })
      const run = runOn(router)
      assert.strictEqual((yield* run("decisions")).out, "No request has ended yet.")
      assert.strictEqual(yield* chat(router.url, mistral.name, "good-one"), 200)
      assert.strictEqual(yield* chat(router.url, "nobody-has-it", "bad-one"), 404)
      const { out } = yield* run("decisions")
      assert.match(out, new RegExp(`^\\d\\d:\\d\\d:\\d\\d +good-one +\\S+ +${mistral.name} +200 +node-001 +1 `, "m"))
      assert.match(out, /bad-one .* 404 /)
      assert.strictEqual(lines((yield* run("decisions -n 1")).out).length, 2)
      const { json } = yield* run("decisions --json --last 1")
      assert.deepStrictEqual(json.decisions.map(({ id }: { id: string }) => id), ["bad-one"])
      const why = yield* run("decisions --why good-one")
      assert.match(why.out, new RegExp(`^node-001 answered the request for ${mistral.name} with 200`))
      assert.isAbove(lines(why.out).length, 2)
      const words = (yield* run("decisions --why good-one --json")).json
      assert.strictEqual([words.summary, ...words.sentences].join("\n"), why.out)
      const unknown = yield* run("decisions --why another")
      assert.deepStrictEqual([unknown.status, unknown.out], [1, ""])
      assert.include(unknown.err, "no request with this id is remembered")
    }))

  it.live("a router that remembers no requests says which setting is missing", () =>
    Effect.gen(function* () {
      const router = yield* serve({ backends: 1, env: { LLAMERO_DECISIONS: "0" } })
      const { err, status } = yield* runOn(router)("decisions")
      assert.strictEqual(status, 1)
      assert.include(err, "LLAMERO_DECISIONS")
    }))
})
