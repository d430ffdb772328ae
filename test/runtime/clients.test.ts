/**
 * The official clients, under Node and Deno, against the reference server under Node and Deno and against the `{ fetch
 * }` export.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as SimulatedOllamaServer from "../../src/simulated/SimulatedOllamaServer.ts"
import { denoServe, prints, run, runtimes, start } from "../support/processes.ts"

class Urls extends Context.Service<Urls, { readonly llamero: string; readonly backend: string }>()("test/Urls") {}

/** Slow enough to leave in the middle of an answer, fast enough for a test. */
const backend = SimulatedOllamaServer.make({ decodeRate: 400 })

const serving = (command: ReadonlyArray<string>): Layer.Layer<Urls> =>
  Layer.effect(
    Urls,
    Effect.gen(function* () {
      const { url } = yield* backend
      const env = { LLAMERO_BACKENDS: url, LLAMERO_PORT: "0", LLAMERO_LOG_LEVEL: "Warn" }
      const [, llamero = ""] = yield* prints(yield* start(command, env), /istening on (http:\/\/[\d.]+:\d+)/)
      return { llamero, backend: url }
    }),
  )

const servers: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
  ["src/command/serve/server.ts on Node", [...runtimes.node, "src/command/serve/server.ts"]],
  ["src/command/serve/server.ts on Deno", [...runtimes.deno, "src/command/serve/server.ts"]],
  ["deno serve examples/deno-serve.ts", [...denoServe, "examples/deno-serve.ts"]],
]

for (const [name, command] of servers) {
  describe(name, () => {
    it.layer(serving(command), { timeout: "30 seconds", excludeTestServices: true })((it) => {
      for (const script of ["ollama", "openai", "bytes", "commandLine"]) {
        for (const [runtime, prefix] of Object.entries(runtimes)) {
          it.effect(`test/clients/${script}.ts on ${runtime}`, () =>
            Effect.gen(function* () {
              const { backend, llamero } = yield* Urls
              const env = { LLAMERO_URL: llamero, OLLAMA_DIRECT_URL: backend }
              const { printed, status } = yield* run([...prefix, `test/clients/${script}.ts`], env)
              assert.strictEqual(status, 0, printed)
            }), 60_000)
        }
      }
    })
  })
}
