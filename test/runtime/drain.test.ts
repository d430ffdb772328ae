/** How the reference server starts, fails to start, and stops. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import process from "node:process"
import * as SimulatedOllamaServer from "../../src/simulated/SimulatedOllamaServer.ts"
import { prints, run, type Running, runtimes, start } from "../support/processes.ts"

const listening = /listening on (http:\/\/[\d.]+:\d+)/

/** A server over a simulated backend with twenty tokens a second. */
const serving = Effect.fnUntraced(
  function* (runtime: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) {
    const backend = yield* SimulatedOllamaServer.make({ decodeRate: 40 })
    const settings = { LLAMERO_BACKENDS: backend.url, LLAMERO_PORT: "0", LLAMERO_LOG_LEVEL: "Warn", ...env }
    const running = yield* start([...runtime, "src/command/serve/server.ts"], settings)
    const [, url = ""] = yield* prints(running, listening)
    return { running, url }
  },
)

/** A stream whose first chunk has come; `rest` is everything after it. */
const streaming = Effect.fnUntraced(function* (url: string, model: string) {
  const response = yield* Effect.promise(() =>
    fetch(`${url}/api/generate`, { method: "POST", body: JSON.stringify({ model, prompt: "Why?" }) })
  )
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  yield* Effect.promise(() => reader.read())
  const rest = Effect.promise(async () => {
    let text = ""
    for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value
    return text
  })
  return { rest }
})

const refuses = (url: string): Effect.Effect<boolean> =>
  Effect.promise(() => fetch(`${url}/livez`).then(() => false, () => true))

/**
 * Signals by process id, as a supervisor does: Deno's `child.kill` sends only one signal, and then reports the child as
 * killed by it.
 */
const signal = ({ child }: Running) => Effect.sync(() => process.kill(child.pid!, "SIGTERM"))

for (const [name, runtime] of Object.entries(runtimes)) {
  describe(`src/command/serve/server.ts on ${name}`, () => {
    it.live("after SIGTERM it finishes its streams, accepts no requests, and exits with 0", () =>
      Effect.gen(function* () {
        const { running, url } = yield* serving(runtime)
        const { rest } = yield* streaming(url, "tiny-eos")
        yield* signal(running)
        yield* prints(running, /stopping/)
        assert.isTrue(yield* refuses(url))
        assert.include((yield* rest).trimEnd().split("\n").at(-1), `"done":true`)
        assert.strictEqual(yield* running.ended, 0, running.printed())
      }))

    it.live("waits no longer than the drain timeout", () =>
      Effect.gen(function* () {
        const { running, url } = yield* serving(runtime, { LLAMERO_DRAIN_TIMEOUT: "300ms" })
        yield* Effect.forkScoped(Effect.exit(Effect.flatMap(streaming(url, "tiny-loop"), ({ rest }) => rest)))
        yield* Effect.sleep("300 millis")
        yield* signal(running)
        const status = yield* Effect.timeout(running.ended, "5 seconds")
        assert.strictEqual(status, 0, running.printed())
      }))

    it.live("stops at once at a second signal", () =>
      Effect.gen(function* () {
        const { running, url } = yield* serving(runtime)
        yield* Effect.forkScoped(Effect.exit(Effect.flatMap(streaming(url, "tiny-loop"), ({ rest }) => rest)))
        yield* Effect.sleep("300 millis")
        yield* signal(running)
        yield* prints(running, /stopping/)
        yield* signal(running)
        assert.strictEqual(yield* Effect.timeout(running.ended, "5 seconds"), 143, running.printed())
      }))

    it.live("prints one line that says why it does not start", () =>
      Effect.gen(function* () {
        const { url } = yield* serving(runtime)
        const { host, port } = new URL(url)
        const command = [...runtime, "src/command/serve/server.ts"]
        const env = { LLAMERO_LOG_LEVEL: "None", LLAMERO_BACKENDS: "http://127.0.0.1:9" }
        const taken = yield* run(command, { ...env, LLAMERO_PORT: port })
        assert.deepStrictEqual([taken.status, taken.printed], [
          1,
          `llamero: ${host} is in use; set LLAMERO_PORT to a free port\n`,
        ])
        const wrong = yield* run(command, { ...env, LLAMERO_PORT: "http" })
        assert.deepStrictEqual([wrong.status, wrong.printed], [
          1,
          `llamero: LLAMERO_PORT="http": wants a port from 0 to 65535 (0: any free one)\n`,
        ])
        const twice = yield* run(command, { ...env, LLAMERO_BACKENDS: "a,http://a:11434", LLAMERO_PORT: "0" })
        assert.strictEqual(twice.status, 1)
        assert.strictEqual(
          twice.printed,
          "llamero: LLAMERO_BACKENDS: wants each backend once, and http://a:11434 is there twice\n",
        )
      }), 60_000)
  })
}

describe("src/command/serve/server.ts without backends", () => {
  it.live("prints that it simulates, and answers at once", () =>
    Effect.gen(function* () {
      const running = yield* start([...runtimes.node, "src/command/serve/server.ts"], { LLAMERO_PORT: "0" })
      const [, url = ""] = yield* Effect.timeout(prints(running, listening), "15 seconds")
      const version: unknown = yield* Effect.promise(() => fetch(`${url}/api/version`).then((answer) => answer.json()))
      assert.property(version, "version")
      assert.match(running.printed(), /SIMULATED|routing to http:\/\/127\.0\.0\.1:11434/)
    }))
})
