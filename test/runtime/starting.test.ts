/** What the reference server says when its settings are wrong, how it answers without backends, and how it logs. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as SimulatedOllamaServer from "../../src/simulated/SimulatedOllamaServer.ts"
import { denoServe, prints, run, runtimes, start } from "../support/processes.ts"

const listening = /listening on (http:\/\/[\d.]+:\d+)/

/** A folder with files. */
const folderOf = (files: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const path = mkdtempSync(join(tmpdir(), "llamero-start-"))
      for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text)
      return path
    }),
    (path) => Effect.sync(() => rmSync(path, { recursive: true })),
  )

/** Whether something answers where the server looks for an Ollama. */
const hasOllama = await fetch("http://127.0.0.1:11434/api/version").then(({ ok }) => ok, () => false)
if (hasOllama) console.log("skipped: tests of the simulated fleet; an Ollama answers on 127.0.0.1:11434")

const servers = {
  "server.ts on Node": [...runtimes.node, "src/command/serve/server.ts"],
  "server.ts on Deno": [...runtimes.deno, "src/command/serve/server.ts"],
  "deno-serve.ts": [...denoServe, "examples/deno-serve.ts"],
}

for (const [name, command] of Object.entries(servers)) {
  describe(name, () => {
    it.live(
      "does not start with a misspelt setting, a wrong value and broken files, and tells all of them",
      () =>
        Effect.gen(function* () {
          const folder = yield* folderOf({
            "fleet.json": `{"backends":[{"url":"http://a","wieght":2}]}`,
            "keys.json": `{"keys":[{"id":"a"}]}`,
            "footprints.json": `{"models":`,
          })
          const names = yield* run(command, { LLAMERO_BACKEND: "http://10.0.0.4:11434", LLAMERO_PARALLELISM: "many" })
          assert.deepStrictEqual([names.status, names.printed], [
            1,
            "llamero: 2 settings are wrong:\n" +
            "  LLAMERO_BACKEND: no setting has this name; did you mean LLAMERO_BACKENDS?\n" +
            `  LLAMERO_PARALLELISM="many": wants a whole number of at least 1\n`,
          ])
          const files = yield* run(command, {
            LLAMERO_FLEET_FILE: join(folder, "fleet.json"),
            LLAMERO_KEYS_FILE: join(folder, "keys.json"),
            LLAMERO_FOOTPRINTS: join(folder, "footprints.json"),
            LLAMERO_PLUGINS: join(folder, "nowhere.ts"),
            LLAMERO_VRAM: "on",
            LLAMERO_NVML_LIBRARY: join(folder, "libnvidia-ml.so"),
          })
          assert.strictEqual(files.status, 1)
          assert.match(files.printed, /^llamero: 5 settings are wrong:$/m)
          for (
            const line of [
              /^ {2}LLAMERO_FLEET_FILE: .*fleet\.json: .*wieght/m,
              /^ {2}LLAMERO_KEYS_FILE: .*keys\.json: keys\[0\]\.sha256 must be/m,
              /^ {2}LLAMERO_FOOTPRINTS: .*footprints\.json: /m,
              /^ {2}LLAMERO_PLUGINS: .*nowhere\.ts/m,
              /^ {2}LLAMERO_NVML_LIBRARY: there is no file .*libnvidia-ml\.so/m,
            ]
          ) assert.match(files.printed, line)
          assert.lengthOf(files.printed.trimEnd().split("\n"), 6)
        }),
      60_000,
    )

    it.live.skipIf(hasOllama)(
      "makes no answers up when something says which backends there are",
      () =>
        Effect.gen(function* () {
          for (const env of [{ LLAMERO_BACKENDS: "" }, { LLAMERO_FLEET_INTERVAL: "2s" }, { OLLAMA_HOST: " " }]) {
            const { printed, status } = yield* run(command, { ...env, LLAMERO_PORT: "0" })
            assert.strictEqual(status, 1, printed)
            assert.match(printed, new RegExp(`^llamero: ${Object.keys(env)[0]}: no backends are named, and no Ollama`))
          }
        }),
      60_000,
    )
  })
}

describe("the simulated fleet", () => {
  for (const [name, command] of Object.entries(servers)) {
    it.live.skipIf(hasOllama)(`of ${name} marks its answers`, () =>
      Effect.gen(function* () {
        const running = yield* start(command, { LLAMERO_PORT: "0" })
        const [, url = ""] = yield* prints(running, /istening on (http:\/\/[\d.]+:\d+)/)
        yield* prints(running, /SIMULATED/)
        const messages = [{ role: "user", content: "hi" }]
        const options = { num_predict: 2 }
        const calls: ReadonlyArray<readonly [path: string, body?: object]> = [
          ["/api/chat", { model: "llama3.1:8b", messages, options }],
          ["/api/chat", { model: "llama3.1:8b", messages, options, stream: false }],
          ["/v1/chat/completions", { model: "llama3.1:8b", messages, max_tokens: 2, stream: true }],
          ["/v1/messages", { model: "llama3.1:8b", messages, max_tokens: 2 }],
          ["/api/chat", { model: "nobody-has-it", messages }],
          ["/api/show", { model: "llama3.1:8b" }],
          ["/api/tags"],
          ["/v1/models"],
          ["/api/ps"],
        ]
        for (const [path, body] of calls) {
          const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }
          const response = yield* Effect.promise(() => fetch(url + path, init))
          yield* Effect.promise(() => response.text())
          assert.strictEqual(response.headers.get("x-llamero-simulated"), "1", path)
        }
      }), 60_000)
  }
})

describe("server.ts", () => {
  it.live("says since when a backend is as it is only where it was probed", () =>
    Effect.gen(function* () {
      const running = yield* start([...runtimes.node, "src/command/serve/server.ts"], {
        LLAMERO_BACKENDS: "http://127.0.0.1:9",
        LLAMERO_HEALTH_INTERVAL: "1h",
        LLAMERO_PORT: "0",
      })
      const [, url = ""] = yield* prints(running, listening)
      const health = yield* Effect.promise(() => fetch(`${url}/healthz`).then((response) => response.json()))
      assert.deepInclude(health.backends[0], { health: "unknown", since: null })
    }), 30_000)
})

/** The lines about the only request. */
const requestLines = (printed: string) => printed.split("\n").filter((line) => line.includes("tiny-eos"))

for (const [name, command] of Object.entries(servers)) {
  describe(`the log of ${name}`, () => {
    const formats: ReadonlyArray<readonly [env: Readonly<Record<string, string>>, line: RegExp]> = [
      [{}, /^\{"time":"[^"]+","level":"info","message":"request",.*"model":"tiny-eos:latest".*\}$/],
      [{ LLAMERO_LOG_FORMAT: "json" }, /^\{"time":"[^"]+","level":"info","message":"request",.*\}$/],
      [{ LLAMERO_LOG_FORMAT: "pretty" }, /^[\d:.]+ INFO {2}request id=\S+ .*model=tiny-eos:latest .*bytes_out=\d+/],
    ]
    for (const [env, line] of formats) {
      it.live(
        `has one line for a request: ${env["LLAMERO_LOG_FORMAT"] ?? "not on a terminal"}`,
        () =>
          Effect.gen(function* () {
            const backend = yield* SimulatedOllamaServer.make({})
            const running = yield* start(command, {
              ...env,
              LLAMERO_BACKENDS: backend.url,
              LLAMERO_LOG_LEVEL: "Info",
              LLAMERO_PORT: "0",
            })
            const [, url = ""] = yield* prints(running, /istening on (http:\/\/[\d.]+:\d+)/)
            const body = JSON.stringify({ model: "tiny-eos", prompt: "Why?", stream: false })
            yield* Effect.promise(() => fetch(`${url}/api/generate`, { method: "POST", body }).then((it) => it.text()))
            yield* prints(running, /bytes_out.*\n/)
            const [found = "", ...others] = requestLines(running.printed())
            assert.match(found, line)
            assert.deepStrictEqual(others, [])
          }),
        60_000,
      )
    }
  })
}
