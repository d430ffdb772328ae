/** `npm start` and `deno task start` as programs: the server gets a signal to the runner, and finishes its streams. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import process from "node:process"
import * as SimulatedOllamaServer from "../../src/simulated/SimulatedOllamaServer.ts"
import { prints, type Running, runtimes, start } from "../support/processes.ts"

/** The runner, in a process group of its own, so that a test can signal the group as a terminal does. */
const runners: Readonly<Record<string, ReadonlyArray<string>>> = {
  "npm start": ["setsid", "npm", "start"],
  "deno task start": ["setsid", runtimes.deno[0], "task", "start"],
}

const serving = Effect.fnUntraced(function* (command: ReadonlyArray<string>) {
  const backend = yield* SimulatedOllamaServer.make({ decodeRate: 40 })
  const running = yield* Effect.acquireRelease(
    start(command, { LLAMERO_BACKENDS: backend.url, LLAMERO_PORT: "0", LLAMERO_LOG_LEVEL: "Info" }),
    // The whole group: a test that fails must not leave a server behind.
    ({ child }) =>
      Effect.sync(() => {
        try {
          process.kill(-child.pid!, "SIGKILL")
        } catch { /* It has ended. */ }
      }),
  )
  const [, url = ""] = yield* prints(running, /listening on (http:\/\/[\d.]+:\d+)/)
  return { running, url }
})

const streaming = Effect.fnUntraced(function* (url: string, model: string) {
  const response = yield* Effect.promise(() =>
    fetch(`${url}/api/generate`, { method: "POST", body: JSON.stringify({ model, prompt: "Why?" }) })
  )
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  yield* Effect.promise(() => reader.read())
  return {
    rest: Effect.promise(async () => {
      let text = ""
      for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value
      return text
    }),
  }
})

const isGone = (url: string) =>
  Effect.promise(() => fetch(`${url}/livez`, { signal: AbortSignal.timeout(1000) }).then(() => false, () => true))

const send = (pid: number, name: "SIGINT" | "SIGTERM") => Effect.sync(() => process.kill(pid, name))

const drains = (command: ReadonlyArray<string>, signal: (running: Running) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    const { running, url } = yield* serving(command)
    const { rest } = yield* streaming(url, "tiny-eos")
    yield* signal(running)
    yield* prints(running, /stopping/)
    assert.include((yield* rest).trimEnd().split("\n").at(-1), `"done":true`)
    const status = yield* Effect.timeout(running.ended, "10 seconds")
    assert.isTrue(yield* isGone(url), "the server lives on")
    return status
  })

for (const [name, command] of Object.entries(runners)) {
  describe(name, () => {
    it.live("SIGTERM to the runner: the stream is finished, and nothing lives on", () =>
      Effect.gen(function* () {
        const status = yield* drains(command, ({ child }) => send(child.pid!, "SIGTERM"))
        assert.strictEqual(status, 0)
      }), 60_000)

    it.live(
      "Ctrl-C, which the terminal sends to the runner and the server: the stream is finished",
      () =>
        Effect.gen(function* () {
          const status = yield* drains(command, ({ child }) => send(-child.pid!, "SIGINT"))
          assert.include([0, 130], status)
        }),
      60_000,
    )

    it.live("SIGTERM to all, as systemd sends it: the stream is finished", () =>
      Effect.gen(function* () {
        const status = yield* drains(command, ({ child }) => send(-child.pid!, "SIGTERM"))
        assert.include([0, 143], status)
      }), 60_000)

    it.live("a second signal, a second later, ends it at once", () =>
      Effect.gen(function* () {
        const { running, url } = yield* serving(command)
        yield* Effect.forkScoped(Effect.exit(Effect.flatMap(streaming(url, "tiny-loop"), ({ rest }) => rest)))
        yield* Effect.sleep("300 millis")
        yield* send(running.child.pid!, "SIGTERM")
        yield* prints(running, /stopping/)
        yield* Effect.sleep("500 millis")
        yield* send(running.child.pid!, "SIGTERM")
        const status = yield* Effect.timeout(running.ended, "5 seconds")
        assert.notStrictEqual(status, 0)
        assert.isTrue(yield* isGone(url), "the server lives on")
      }), 60_000)
  })
}
