/** The commands that change a router, against the reference server in front of a simulated fleet. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import { run as runWith } from "../../support/llamero.ts"
import { llama31, mistral, serve, token, urlOf } from "../../support/statusFleet.ts"

type Router = Effect.Success<ReturnType<typeof serve>>

const runOn = ({ url }: Router) => (line: string | ReadonlyArray<string>) =>
  runWith(line, { LLAMERO_URL: url, LLAMERO_ADMIN_TOKEN: token })

type Run = ReturnType<typeof runOn>

/** Runs a command until its output is as wanted: the router reads its backends in its own time. */
const until = (run: Run, line: string, holds: (ran: Effect.Success<ReturnType<Run>>) => boolean) =>
  Effect.gen(function* () {
    for (let i = 0; i < 200; i++) {
      const ran = yield* run(line)
      if (holds(ran)) return ran
      yield* Effect.sleep("20 millis")
    }
    return assert.fail(`${line} never said what was waited for`)
  })

const memberOf = (run: Run, id: string) =>
  Effect.map(run("backends --json"), ({ json }) => json.backends.find((one: { id: string }) => one.id === id).member)

describe("the commands that take a backend out", () => {
  it.live("drain, isolate and undrain say what they did, and the changes are recorded", () =>
    Effect.gen(function* () {
      const router = yield* serve({ backends: 2 })
      const run = runOn(router)
      const drained = yield* run("drain node-001")
      assert.deepStrictEqual(
        [drained.status, drained.out],
        [0, "node-001 is draining and takes no new requests; 0 requests are under way"],
      )
      assert.strictEqual(yield* memberOf(run, "node-001"), "draining")
      assert.match((yield* run("backends")).out, /^node-001 +drained /m)
      const isolated = yield* run("isolate node-002 --json")
      assert.strictEqual(isolated.json.backend.member, "isolated")
      assert.strictEqual(yield* memberOf(run, "node-002"), "isolated")
      assert.strictEqual((yield* run("undrain node-001")).out, "node-001 takes new requests again")
      assert.strictEqual((yield* run("undrain node-002")).status, 0)
      assert.strictEqual(yield* memberOf(run, "node-002"), "active")
      const { json, out } = { json: (yield* run("changes --json")).json, out: (yield* run("changes")).out }
      assert.deepStrictEqual(
        json.changes.map(({ action, backend }: { action: string; backend: string }) => [action, backend]),
        [
          ["undrain", "node-002"],
          ["undrain", "node-001"],
          ["isolate", "node-002"],
          ["drain", "node-001"],
        ],
      )
      assert.match(out, /^\d\d:\d\d:\d\d +admin +127\.0\.0\.1 +undrain +node-002 +done +node-002 takes/m)
      assert.strictEqual((yield* run("changes -n 2")).out.split("\n").length, 3)
    }))

  it.live("drain --wait ends when no request is under way, or tells that some still are", () =>
    Effect.gen(function* () {
      const router = yield* serve({ backends: 1 })
      const run = runOn(router)
      yield* until(run, "models --json", ({ json }) => json.models.length === 3)
      router.get(urlOf(0)).script(SimulatedFleet.Fault.slow("2 seconds"), { path: "/api/generate", times: 1 })
      const asked = fetch(`${router.url}/api/generate`, {
        method: "POST",
        body: JSON.stringify({ model: llama31.name, prompt: "Why?" }),
      }).then((answer) => answer.text())
      yield* until(run, "backends --json", ({ json }) => json.backends[0].streams === 1)
      const short = yield* run("drain node-001 --wait 100ms")
      assert.strictEqual(short.status, 1)
      assert.include(short.err, "Requests are still under way on node-001 after 100ms.")
      const long = yield* run("drain node-001 --wait 1m")
      assert.strictEqual(long.status, 0)
      assert.include(long.out, "No request is under way on node-001: it can be stopped.")
      assert.include(yield* Effect.promise(() => asked), `"done":true`)
      const json = yield* run("drain node-001 --wait 1m --json")
      assert.strictEqual(json.json.backend.streams, 0)
    }))
})

describe("the commands about models in memory", () => {
  it.live("load, pin, unload, unpin and prewarm: what can be done is done, what cannot says why", () =>
    Effect.gen(function* () {
      const router = yield* serve({ backends: 1 })
      const run = runOn(router)
      yield* until(run, "models --json", ({ json }) => json.models.length === 3)
      const loaded = yield* run(`load node-001 ${llama31.name} --wait`)
      assert.deepStrictEqual([loaded.status, loaded.out], [0, `${llama31.name} was loaded on node-001`])
      assert.match((yield* run("ps")).out, new RegExp(`^node-001 +${llama31.name} +loaded`, "m"))
      assert.strictEqual((yield* run(`pin node-001 ${llama31.name}`)).out, `${llama31.name} is pinned on node-001`)
      assert.match((yield* run("ps")).out, / pinned /)
      const pinned = yield* run(`unload node-001 ${llama31.name}`)
      assert.strictEqual(pinned.status, 1)
      assert.include(pinned.err, "is pinned on node-001: unpin it first")
      assert.strictEqual((yield* run(`unpin node-001 ${llama31.name}`)).status, 0)
      const unloaded = yield* run(`unload node-001 ${llama31.name} --json`)
      assert.strictEqual(unloaded.json.done, `${llama31.name} is being unloaded from node-001`)
      yield* until(run, "ps", ({ out }) => out === "No model is in memory.")
      // The memory of the other model is free a little later than the model is gone.
      const prewarmed = yield* until(run, `prewarm node-001 ${mistral.name}`, ({ status }) => status === 0)
      assert.strictEqual(prewarmed.out, `the load of ${mistral.name} into free memory of node-001 has been asked for`)
      yield* until(run, "ps", ({ out }) => out.includes(mistral.name))
      const context = yield* run(`load node-001 ${llama31.name} --context 4096 --no-evict --json`)
      assert.strictEqual(context.status, 0)
      yield* until(
        run,
        "ps --json",
        ({ json }) => json.models.some((one: { context: number; model: string }) => one.context === 4096),
      )
    }))

  it.live("reload and log", () =>
    Effect.gen(function* () {
      const router = yield* serve({ backends: 1 })
      const run = runOn(router)
      const { out } = yield* run("reload")
      assert.match(out, /^WHAT +RESULT$/m)
      assert.match(out, /^health +read$/m)
      assert.isTrue((yield* run("reload --json")).json.reloaded.length > 2)
      assert.strictEqual(
        (yield* run("log --level debug --sample 0.5")).out,
        "level debug, 50 % of the requests without an error",
      )
      assert.deepStrictEqual((yield* run("log --json")).json, { level: "Debug", sample: 0.5 })
      yield* run("log --level none")
      assert.deepStrictEqual((yield* run("log --json")).json, { level: "None", sample: 0.5 })
    }))

  it.live("unknown backends and models: exit status 1, and the router's words", () =>
    Effect.gen(function* () {
      const router = yield* serve({ backends: 1 })
      const run = runOn(router)
      yield* until(run, "models --json", ({ json }) => json.models.length === 3)
      for (const name of ["drain", "undrain", "isolate"]) {
        const { err, out, status } = yield* run(`${name} nowhere --json`)
        assert.deepStrictEqual([out, err, status], ["", `no backend is called "nowhere"`, 1])
      }
      for (const name of ["load", "unload", "pin", "unpin", "prewarm"]) {
        const backend = yield* run(`${name} nowhere ${llama31.name}`)
        assert.deepStrictEqual([backend.err, backend.status], [`no backend is called "nowhere"`, 1])
        const model = yield* run(`${name} node-001 nothing:1b`)
        assert.deepStrictEqual([model.err, model.status], [`no backend has the model "nothing:1b"`, 1])
        assert.strictEqual((yield* run(`${name} node-001 ${mistral.name} another`)).status, 1)
      }
      // An id is one part of the path, whatever it has in it.
      assert.include((yield* run(["drain", "node-001/../x"])).err, "no backend is called")
      assert.include((yield* run(["drain", "a b?c#d"])).err, "no backend is called")
      for (const line of ["load node-001", "drain", "prewarm node-001", "log --sample 2", "decisions -n 0"]) {
        assert.strictEqual((yield* run(line)).status, 1, line)
      }
    }))
})
