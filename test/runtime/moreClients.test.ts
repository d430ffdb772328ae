/**
 * Other clients that people use, against the reference server and directly against its backend: each feature must give
 * the same. The Python packages are those in `test/clients/requirements.txt`, for `CLIENTS_PYTHON` or `python3`.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { spawnSync } from "node:child_process"
import process from "node:process"
import { prints, run, runtimes, start } from "../support/processes.ts"
import * as Talented from "../support/talented.ts"

class Urls extends Context.Service<Urls, { readonly llamero: string; readonly backend: string }>()("test/Urls") {}

const serving = (command: ReadonlyArray<string>) =>
  Layer.effect(
    Urls,
    Effect.gen(function* () {
      const backend = yield* Talented.make
      const env = { LLAMERO_BACKENDS: backend, LLAMERO_PORT: "0", LLAMERO_LOG_LEVEL: "Warn" }
      const [, llamero = ""] = yield* prints(yield* start(command, env), /istening on (http:\/\/[\d.]+:\d+)/)
      return { llamero, backend }
    }),
  )

const python = process.env["CLIENTS_PYTHON"] ?? "python3"
const imported = spawnSync(python, ["-c", "import ollama, openai"], { encoding: "utf8" })
const hasPython = imported.status === 0
if (!hasPython) {
  const why = imported.error?.message ?? imported.stderr.trim().split("\n").at(-1)
  console.log(`skipped: test/clients/ollama_and_openai.py: ${why}. pip install -r test/clients/requirements.txt`)
}

const scripts: ReadonlyArray<readonly [name: string, command: ReadonlyArray<string>, runs: boolean]> = [
  ...["anthropic.ts", "aiSdk.mjs", "langchain.ts"].flatMap((name) =>
    Object.entries(runtimes).map(([runtime, prefix]) =>
      [`${name} on ${runtime}`, [...prefix, `test/clients/${name}`], true] as const
    )
  ),
  ["ollama_and_openai.py", [python, "test/clients/ollama_and_openai.py"], hasPython],
]

for (const [server, command] of Object.entries(runtimes)) {
  describe(`src/command/serve/server.ts on ${server}`, () => {
    it.layer(serving([...command, "src/command/serve/server.ts"]), {
      timeout: "30 seconds",
      excludeTestServices: true,
    })(
      (it) => {
        for (const [name, script, runs] of scripts) {
          it.effect.skipIf(!runs)(`test/clients/${name}`, () =>
            Effect.gen(function* () {
              const { backend, llamero } = yield* Urls
              const { printed, status } = yield* run(script, { LLAMERO_URL: llamero, OLLAMA_DIRECT_URL: backend })
              assert.strictEqual(status, 0, printed)
            }), 90_000)
        }
      },
    )
  })
}
