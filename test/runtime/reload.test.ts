/** The fleet file changes again and again under load, without an effect on any client. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as SimulatedOllamaServer from "../../src/simulated/SimulatedOllamaServer.ts"
import { loops, post } from "../support/load.ts"
import { prints, runtimes, start } from "../support/processes.ts"

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
        yield* prints(router, /fleet unchanged: .*fleet\.json/)
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
