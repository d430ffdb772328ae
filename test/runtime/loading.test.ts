/**
 * A slow load on a real clock, with shorter intervals. Official clients call the reference server, each in a process of
 * its own.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { prints, run, runtimes, start } from "../support/processes.ts"

describe("a slow load", () => {
  for (const [runtime, prefix] of Object.entries(runtimes)) {
    it.live(`the official clients wait for it on ${runtime}`, () =>
      Effect.scoped(Effect.gen(function* () {
        // Ten heartbeat intervals, so that some heartbeats come even on a slow machine.
        const options = JSON.stringify({ loadTime: "4 seconds", parallelism: 8 })
        const backend = yield* start([...runtimes.node, "test/support/backend.ts", "0", options])
        const [, url = ""] = yield* prints(backend, /listening on (http:\/\/[\d.]+:\d+)/)
        const server = yield* start([...runtimes.node, "src/command/serve/server.ts"], {
          LLAMERO_BACKENDS: url,
          LLAMERO_PORT: "0",
          LLAMERO_HEARTBEAT: "400ms",
          LLAMERO_LOG_LEVEL: "Warn",
        })
        const [, llamero = ""] = yield* prints(server, /istening on (http:\/\/[\d.]+:\d+)/)
        const { printed, status } = yield* run([...prefix, "test/clients/loading.ts"], { LLAMERO_URL: llamero })
        assert.strictEqual(status, 0, printed)
      })), 60_000)
  }
})
