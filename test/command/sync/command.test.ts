/** `llamero sync` over sockets: fleet files, settings, backends that ask for a token, and what it prints. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import * as SimulatedOllamaServer from "../../../src/simulated/SimulatedOllamaServer.ts"
import { piped, run } from "../../support/llamero.ts"
import * as Tree from "../../support/tree.ts"

const { Model } = SimulatedFleet
const small = Model.model({ name: "small:1b", size: 1000 })
const other = Model.model({ name: "other:1b", size: 1000 })
const pullable = [small, other]

const server = (options?: Parameters<typeof SimulatedOllamaServer.make>[0]) =>
  SimulatedOllamaServer.make({ models: [], pullable, ...options })

const fleetFile = (fleet: unknown, files: Readonly<Record<string, string>> = {}) =>
  Effect.map(Tree.scoped({ "fleet.json": JSON.stringify(fleet), ...files }), (folder) => join(folder, "fleet.json"))

describe("llamero sync", () => {
  it.live("plans, pulls, and finds nothing more to do; each backend gets what it asks for", () =>
    Effect.gen(function* () {
      const one = yield* server()
      const two = yield* server({ credentials: { authorization: "Bearer hush-hush" } })
      const file = yield* fleetFile({
        models: ["small:1b"],
        backends: [one.url, { url: two.url, id: "two", token: { env: "TWO_TOKEN" }, models: ["other:1b"] }],
      })
      const env = { LLAMERO_FLEET_FILE: file, TWO_TOKEN: "hush-hush" }
      const planned = yield* run("sync", env)
      assert.strictEqual(planned.status, 1)
      assert.match(planned.out, /^MODEL +BACKEND +STATE +DIGEST +PULL +WHY$/m)
      assert.match(planned.out, /^other:1b +two +missing +to pull$/m)
      assert.strictEqual(planned.err, "3 of 3 wanted models missing. `--apply` performs 3 pulls.")
      assert.deepStrictEqual(one.server.calls.filter(({ path }) => path === "/api/pull"), [])

      const applied = yield* run("sync --apply", env)
      assert.deepStrictEqual([applied.status, applied.err], [0, ""])
      assert.include(applied.out, "pulling small:1b on two from registry.ollama.ai")
      assert.include(applied.out, "pulled small:1b on two")
      assert.match(applied.out, new RegExp(`^small:1b +two +present +${small.digest.slice(0, 12)} +pulled$`, "m"))
      assert.match(applied.out, /3 pulls done\.$/)
      assert.notInclude(applied.out + planned.out + planned.err, "hush")

      const again = yield* run(["sync", "--fleet-file", file, "--json", "--apply"], { TWO_TOKEN: "hush-hush" })
      assert.deepStrictEqual([again.status, again.err], [0, ""])
      assert.deepStrictEqual(Object.keys(again.json), ["applied", "ok", "models", "differences", "pulls"])
      assert.deepInclude(again.json, { applied: true, ok: true, differences: [], pulls: [] })
      assert.deepStrictEqual(again.json.models[0], {
        backend: new URL(one.url).host,
        model: "small:1b",
        state: "present",
        digest: small.digest,
        reason: "",
      })
    }))

  it.live("one JSON value also where something is missing at the end; the words are on the other output", () =>
    Effect.gen(function* () {
      const one = yield* server()
      const ran = yield* run("sync --model nowhere:1b -m small --apply --json", { LLAMERO_BACKENDS: one.url })
      assert.strictEqual(ran.status, 1)
      assert.strictEqual(ran.err, "2 of 2 wanted models missing.")
      assert.deepStrictEqual(
        ran.json.pulls.map(({ model, state }: { model: string; state: string }) => [model, state]),
        [
          ["nowhere:1b", "failed"],
          ["small:latest", "failed"],
        ],
      )
    }))

  it.live("a wrong token of a backend is a backend that did not answer", () =>
    Effect.gen(function* () {
      const one = yield* server({ credentials: { authorization: "Bearer right" } })
      const file = yield* fleetFile({
        models: ["small:1b"],
        backends: [{ url: one.url, id: "one", token: "wrong-one" }],
      })
      const ran = yield* run("sync --apply", { LLAMERO_FLEET_FILE: file })
      assert.strictEqual(ran.status, 1)
      assert.strictEqual(ran.err, "1 backend did not answer.")
      assert.match(ran.out, /^small:1b +one +unknown +tags on one: /m)
      assert.notInclude(ran.out, "wrong-one")
    }))

  it.live("OLLAMA_HOST names the one backend, as for the router", () =>
    Effect.gen(function* () {
      const one = yield* server({ models: [small] })
      const ran = yield* run("sync --model small:1b", { OLLAMA_HOST: one.url.replace("http://", "") })
      assert.deepStrictEqual([ran.status, ran.err], [0, ""])
    }))

  it.live("on a terminal it shows how far it is, in colours", () =>
    Effect.gen(function* () {
      const one = yield* server()
      const ran = yield* run("sync --model small:1b --apply", { LLAMERO_BACKENDS: one.url }, {
        ...piped,
        canColor: true,
      })
      assert.include(ran.out, "\x1b[32mpresent\x1b[0m")
    }))

  it.live("wrong usage and wrong files: each says what is wrong", () =>
    Effect.gen(function* () {
      const none = yield* fleetFile({ backends: ["http://127.0.0.1:9"] })
      const bad = yield* fleetFile({ backends: [{ url: "http://127.0.0.1:9", models: ["a b"] }] })
      const misspelt = yield* fleetFile({ backends: [{ url: "http://127.0.0.1:9", model: ["a"] }] })
      const wrongType = yield* fleetFile({ models: "small:1b", backends: ["http://127.0.0.1:9"] })
      const lines: ReadonlyArray<readonly [ReadonlyArray<string>, RegExp]> = [
        [["--fleet-file", none], /No model is wanted/],
        [["--fleet-file", bad], /fleet\.json: models of "127\.0\.0\.1:9" has "a b": invalid model name/],
        [["--fleet-file", misspelt], /fleet\.json: .*"model"/s],
        [["--fleet-file", wrongType], /fleet\.json: .*"models"/s],
        [["--fleet-file", "/does/not/exist.json"], /\/does\/not\/exist\.json/],
        [["--model", "a b"], /--model: no model can have the name "a b"/],
        [["--model", "x", "--time-limit", "soon"], /a duration with its unit/],
      ]
      for (const [args, why] of lines) {
        const ran = yield* run(["sync", ...args])
        assert.strictEqual(ran.status, 1)
        assert.match(ran.err, why)
      }
      const settings = yield* run("sync --model x", { LLAMERO_BACKENDS: "nonsense://x" })
      assert.match(settings.err, /LLAMERO_BACKENDS/)
    }))
})
