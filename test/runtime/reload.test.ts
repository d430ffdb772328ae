/**
 * The reference server as a program: the fleet file changes again and again under load, without an effect on any
 * client; files and SIGHUP start a reload on both runtimes.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import { createHash } from "node:crypto"
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as SimulatedOllamaServer from "../../src/simulated/SimulatedOllamaServer.ts"
import { loops, post } from "../support/load.ts"
import { denoServe, prints, runtimes, start } from "../support/processes.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "llamero-fleet-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true })),
)

describe("hot reload", () => {
  it.live(
    "20 changes under load: backends added, removed and with new weights, no request fails; a broken file changes nothing",
    () =>
      Effect.scoped(Effect.gen(function* () {
        const file = join(yield* folder, "fleet.json")
        const backends = yield* Effect.all(
          ["a", "b", "c"].map((id) =>
            Effect.map(SimulatedOllamaServer.make({ parallelism: 8 }), ({ url }) => ({ id, url }))
          ),
        )
        const write = (text: string) =>
          Effect.sync(() => {
            writeFileSync(`${file}.new`, text)
            renameSync(`${file}.new`, file)
          })
        /** One of the three backends is missing, the others have new weights. */
        const fleet = (step: number) =>
          backends.filter((_, i) => i !== step % 3).map((one, i) => ({
            ...one,
            parallelism: 8,
            weight: 1 + (step + i) % 4,
          }))
        yield* write(JSON.stringify({ backends: fleet(0) }))
        const router = yield* start([...runtimes.node, "src/command/serve/server.ts"], {
          LLAMERO_FLEET_FILE: file,
          LLAMERO_FLEET_INTERVAL: "50ms",
          LLAMERO_HEALTH_INTERVAL: "200ms",
          LLAMERO_PORT: "0",
          LLAMERO_LOG_LEVEL: "Warn",
        })
        const [, url = ""] = yield* prints(router, /istening on (http:\/\/[\d.]+:\d+)/)
        const healthy = Effect.promise(async () => {
          const text = await (await fetch(`${url}/metrics`)).text()
          return Array.from(text.matchAll(/^llamero_backend_healthy\{backend="(\w+)"\} 1$/gm), (match) => match[1]!)
            .join()
        })
        const until = (wanted: string) =>
          Effect.flatMap(healthy, (seen) => seen === wanted ? Effect.void : Effect.fail(seen)).pipe(
            Effect.retry(Schedule.spaced("20 millis")),
            Effect.timeoutOrElse({
              duration: "20 seconds",
              orElse: () => Effect.die(new Error(`never saw ${wanted}`)),
            }),
          )
        yield* until("b,c")

        let stop = false
        const began = performance.now()
        const body = { model: "tiny-embed", input: "hi" }
        const load = loops(16, 60_000, () => stop, () => post(`${url}/api/embed`, body))
        for (let step = 1; step <= 20; step++) {
          yield* write(JSON.stringify({ backends: fleet(step) }))
          yield* until(fleet(step).map(({ id }) => id).join())
        }
        yield* write(`{"backends": [`)
        yield* prints(router, /reload refused, nothing has changed: LLAMERO_FLEET_FILE: .*fleet\.json/)
        assert.strictEqual(yield* healthy, fleet(20).map(({ id }) => id).join())
        stop = true
        const ended = yield* Effect.promise(() => load)
        const seconds = (performance.now() - began) / 1000
        console.log(`${ended.length} requests through 20 changes, ${(ended.length / seconds).toFixed(0)} a second`)
        assert.deepStrictEqual(
          ended.filter(({ status, thrown }) => status !== 200 || thrown !== undefined).slice(0, 3),
          [],
        )
        assert.isAbove(ended.length, 50)
      })),
    60_000,
  )
})

/** Files in a folder that a link names, as Kubernetes mounts a ConfigMap: a change replaces the link. */
const mounted = Effect.map(folder, (path) => {
  let version = 0
  const file = (name: string) => join(path, name)
  const write = (texts: Readonly<Record<string, string>>) => {
    const data = `..${++version}`
    mkdirSync(file(data))
    for (const [name, text] of Object.entries(texts)) writeFileSync(join(file(data), name), text)
    symlinkSync(data, file("..new"))
    renameSync(file("..new"), file("..data"))
    if (version === 1) { for (const name of Object.keys(texts)) symlinkSync(`..data/${name}`, file(name)) }
  }
  return { file, write }
})

const sha256 = (key: string) => createHash("sha256").update(key).digest("hex")
const token = "secret-of-operators"
const programs = [
  ["server.ts on Node", [...runtimes.node, "src/command/serve/server.ts"], /istening on (http:\/\/[\d.]+:\d+)/],
  ["server.ts on Deno", [...runtimes.deno, "src/command/serve/server.ts"], /istening on (http:\/\/[\d.]+:\d+)/],
  ["deno-serve.ts", [...denoServe, "examples/deno-serve.ts"], /istening on (http:\/\/[\d.]+:\d+)/],
] as const

describe("a reload of a program", () => {
  for (const [name, command, listening] of programs) {
    it.live(
      `${name}: files, SIGHUP and an operator start one; a stream on a backend that goes is finished`,
      () =>
        Effect.scoped(Effect.gen(function* () {
          const { file, write } = yield* mounted
          const [a, b] = yield* Effect.all([
            SimulatedOllamaServer.make({ parallelism: 8 }),
            SimulatedOllamaServer.make({ parallelism: 8, decodeRate: 20 }),
          ])
          const fleet = (...ids: ReadonlyArray<"a" | "b">) =>
            JSON.stringify({ backends: ids.map((id) => ({ id, url: id === "a" ? a.url : b.url })) })
          const keys = (...names: ReadonlyArray<string>) =>
            JSON.stringify({ keys: names.map((id) => ({ id, sha256: sha256(id) })) })
          const config = (model: string, rest: object = {}) => JSON.stringify({ aliases: { gpt: [model] }, ...rest })
          write({ "fleet.json": fleet("b"), "keys.json": keys("first"), "llamero.json": config("tiny-loop") })
          const router = yield* start(command, {
            LLAMERO_FLEET_FILE: file("fleet.json"),
            LLAMERO_KEYS_FILE: file("keys.json"),
            LLAMERO_CONFIG: file("llamero.json"),
            LLAMERO_FLEET_INTERVAL: "100ms",
            LLAMERO_HEALTH_INTERVAL: "200ms",
            LLAMERO_ADMIN_TOKEN: token,
            LLAMERO_PORT: "0",
            NO_COLOR: "1",
          })
          const [, url = ""] = yield* prints(router, listening)
          const call = (method: string, path: string, key: string, body?: object) =>
            Effect.promise(async () => {
              const headers = { authorization: `Bearer ${key}` }
              const init = body === undefined ? { method, headers } : { method, headers, body: JSON.stringify(body) }
              const response = await fetch(url + path, init)
              return { status: response.status, text: await response.text() }
            })
          const until = (path: string, key: string, seen: (answer: { status: number; text: string }) => boolean) =>
            Effect.flatMap(call("GET", path, key), (answer) => seen(answer) ? Effect.void : Effect.fail(answer)).pipe(
              Effect.retry(Schedule.spaced("20 millis")),
              Effect.timeoutOrElse({
                duration: "20 seconds",
                orElse: () => Effect.die(new Error(`${path}: not seen`)),
              }),
            )
          const ready = ({ status }: { readonly status: number }) => status === 200
          yield* until("/readyz", "", ready)

          // A long stream on the backend that the next change takes away.
          const body = { model: "gpt", prompt: "x", options: { num_predict: 40 } }
          const stream = yield* Effect.forkChild(call("POST", "/api/generate", "first", body), {
            startImmediately: true,
          })
          yield* Effect.suspend(() =>
            b.server.calls.some(({ path }) => path === "/api/generate") ? Effect.void : Effect.fail("no")
          )
            .pipe(Effect.retry(Schedule.spaced("10 millis")))
          write({
            "fleet.json": fleet("a"),
            "keys.json": keys("first", "second"),
            "llamero.json": config("tiny-eos", { queueCapacity: 7 }),
          })
          yield* prints(router, /reloaded: LLAMERO_QUEUE_CAPACITY, LLAMERO_ALIASES, fleet, keys/)
          yield* until("/api/tags", "second", ready)
          yield* until("/healthz", "second", ({ text }) => text.includes(`"id":"a"`) && text.includes("healthy"))
          const { status, text } = yield* Fiber.join(stream)
          assert.deepStrictEqual([status, text.trimEnd().split("\n").length], [200, 41])
          assert.include(text.trimEnd().split("\n").at(-1)!, `"done":true`)

          const answer = yield* call("POST", "/api/generate", "second", { ...body, stream: false })
          assert.strictEqual(JSON.parse(answer.text).model, "tiny-eos")

          // Whole or not at all: the keys of a wrong change are not taken either.
          write({
            "fleet.json": fleet("a"),
            "keys.json": keys("third"),
            "llamero.json": config("nobody", { port: 80 }),
          })
          yield* prints(router, /reload refused, nothing has changed: LLAMERO_PORT: only a restart can change it/)
          write({ "fleet.json": "{", "keys.json": keys("third"), "llamero.json": config("nobody") })
          yield* prints(router, /reload refused, nothing has changed: LLAMERO_FLEET_FILE: .*fleet\.json/)
          assert.strictEqual((yield* call("GET", "/api/tags", "third")).status, 401)
          assert.strictEqual((yield* call("GET", "/api/tags", "second")).status, 200)
          const refused = yield* call("POST", "/admin/reload", token)
          assert.strictEqual(refused.status, 409)
          assert.match(JSON.parse(refused.text).error, /^reload refused, nothing has changed: LLAMERO_FLEET_FILE/)

          write({ "fleet.json": fleet("a", "b"), "keys.json": keys("third"), "llamero.json": config("tiny-eos") })
          yield* until("/api/tags", "third", ready)
          const done = yield* call("POST", "/admin/reload", token)
          assert.deepStrictEqual(JSON.parse(done.text).reloaded.slice(0, 3), [
            { what: "settings", result: "unchanged" },
            { what: "fleet", result: "unchanged" },
            { what: "keys", result: "unchanged" },
          ])
          router.child.kill("SIGHUP")
          yield* until("/admin/changes", token, ({ text }) => text.includes(`"who":"SIGHUP"`))
          const { changes } = JSON.parse((yield* call("GET", "/admin/changes", token)).text)
          assert.deepInclude(changes[0], {
            who: "SIGHUP",
            action: "reload",
            result: "done",
            reason: "nothing has changed",
          })
          assert.isAtLeast(changes.filter(({ who }: { who: string }) => who === "file").length, 2)
          const metrics = (yield* call("GET", "/metrics", "third")).text
          assert.match(metrics, /llamero_reloads_total\{[^}]*result="done"[^}]*\} [1-9]/)
          assert.match(metrics, /llamero_reloads_total\{[^}]*result="refused"[^}]*\} [1-9]/)
        })),
      60_000,
    )
  }
})
