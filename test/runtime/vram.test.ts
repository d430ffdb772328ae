/** The examples about GPU memory, run as programs on both runtimes. */
import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Effect, Layer, Option, Redacted, Schedule } from "effect"
import { FetchHttpClient } from "effect/http"
import { afterAll } from "vitest"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import process from "node:process"
import * as HttpGpuProbe from "../../src/layers/gpu/HttpGpuProbe.ts"
import { GpuProbe } from "../../src/services/GpuProbe.ts"
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"
import * as SimulatedOllamaServer from "../../src/simulated/SimulatedOllamaServer.ts"
import * as FakeNvml from "../support/fakeNvml.ts"
import { prints, run, runtimes, start } from "../support/processes.ts"

const fake = FakeNvml.build()
if (fake === undefined) console.log(`the examples show only what this machine has: ${FakeNvml.absent}`)
else afterAll(() => FakeNvml.remove(fake))

const scripted = (state: FakeNvml.State): Record<string, string> =>
  fake === undefined ? {} : { LLAMERO_NVML_LIBRARY: fake.library, FAKE_NVML_STATE: FakeNvml.script(fake, state).path }

const row = (name: string, size: number) => ({ name, model: name, size: size * 2 ** 30, digest: name, details: {} })
const shown = (name: string, part: number) => ({
  ...row(name, 8),
  size_vram: part * 2 ** 30,
  expires_at: "2318-12-31T00:00:00Z",
  context_length: 4096,
})
const answers: Readonly<Record<string, unknown>> = {
  "/api/tags": { models: ["whole:latest", "half:latest", "none:latest"].map((name) => row(name, 2)) },
  "/api/ps": { models: [shown("whole:latest", 8), shown("half:latest", 4)] },
}

/** The URL of a server with three models, two of them in memory. */
const ollama = Effect.map(
  Effect.acquireRelease(
    Effect.callback<Server>((resume) => {
      const server = createServer((request, response) => {
        response.setHeader("content-type", "application/json").end(JSON.stringify(answers[request.url ?? ""] ?? {}))
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close()),
  ),
  (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
)

const agentEnv = { LLAMERO_AGENT_TOKEN: "s3cret", LLAMERO_AGENT_HOST: "127.0.0.1", LLAMERO_AGENT_PORT: "0" }

const read = Effect.flatMap(GpuProbe, (probe) => probe.read)

for (const runtime of ["node", "deno"] as const) {
  describe(`on ${runtime}`, () => {
    it.live("04-vram shows the system's memory where nothing else can be read, and says why", () =>
      Effect.gen(function* () {
        const command = [...runtimes[runtime], "examples/04-vram.ts"]
        const { printed, status } = yield* run(command, {
          LLAMERO_NVML_LIBRARY: "/nowhere/libnvidia-ml.so.1",
          PATH: "",
        })
        assert.strictEqual(status, 0, printed)
        assert.match(printed, /System memory +system +█*░+ +[\d.]+ GiB +[\d.]+ GiB/)
        assert.include(printed, "read by system-memory")
        assert.include(printed, "not by nvml: LibraryMissing: /nowhere/libnvidia-ml.so.1")
        assert.include(printed, "not by nvidia-smi: LibraryMissing")
        assert.match(printed, /simulated-a100 +llama3\.1:8b +░{30} +0 +absent, [\d.]+ GiB on disk/)
        assert.include(printed, "SIMULATED")
      }))

    it.live("04-vram shows the models of the backends in the settings", () =>
      Effect.scoped(Effect.gen(function* () {
        const url = yield* ollama
        const env = { LLAMERO_BACKENDS: `${url},http://127.0.0.1:1` }
        const { printed, status } = yield* run([...runtimes[runtime], "examples/04-vram.ts"], env)
        assert.strictEqual(status, 0, printed)
        assert.match(printed, /whole:latest +█{30} +8 GiB +resident\n/)
        assert.match(printed, /half:latest +█{15}░{15} +8 GiB +resident, not all on GPUs\n/)
        assert.match(printed, /none:latest +░{30} +0 +absent, 2 GiB on disk\n/)
        assert.match(printed, /127\.0\.0\.1:1 +\? +\?{30}/)
        assert.include(printed, `routing to ${url}`)
      })))

    it.live.skipIf(fake === undefined)("04-vram shows the cards that NVML shows", () =>
      Effect.gen(function* () {
        const state = FakeNvml.cards(2, { "1.free": 0, "event.0": "1 79 -1" })
        const { printed, status } = yield* run([...runtimes[runtime], "examples/04-vram.ts"], scripted(state))
        assert.strictEqual(status, 0, printed)
        assert.match(printed, /Fake-0 +gpu +█{5}░{25} +20 GiB +24 GiB +37 % +61 °C +123 W +healthy/)
        assert.match(printed, /Fake-1 +gpu +█{30} +0 .*Xid 79/)
        assert.include(printed, "read by nvml")
      }))

    it.live.skipIf(fake === undefined)(
      "04-vram --watch continues until it gets a signal",
      () =>
        Effect.scoped(Effect.gen(function* () {
          const running = yield* start(
            [...runtimes[runtime], "examples/04-vram.ts", "--watch"],
            scripted(FakeNvml.cards(1)),
          )
          yield* prints(running, /read by nvml[^]*read by nvml/)
          // Not `child.kill`: Deno then reports the signal, even if the child ended by itself.
          process.kill(running.child.pid!, "SIGTERM")
          assert.strictEqual(yield* running.ended, 0)
        })),
    )

    for (const how of ["itself", "by an agent"] as const) {
      it.live.skipIf(fake === undefined)(
        `the reference server manages the memory that it can read ${how}`,
        () =>
          Effect.scoped(Effect.gen(function* () {
            const agent = how === "itself" ? undefined : yield* start([...runtimes[runtime], "examples/gpu-agent.ts"], {
              ...agentEnv,
              ...scripted(FakeNvml.cards(1)),
            })
            const reads = agent === undefined
              ? scripted(FakeNvml.cards(1))
              : { LLAMERO_AGENTS: (yield* prints(agent, /(http:\/\/\S+:\d+)/))[1] ?? "", LLAMERO_AGENT_TOKEN: "s3cret" }
            const { url } = yield* SimulatedOllamaServer.make({
              gpus: ["24 GiB"],
              models: [SimulatedFleet.Model.embedder],
              loadTime: 0,
            })
            const server = yield* start([...runtimes[runtime], "src/command/serve/server.ts"], {
              ...reads,
              LLAMERO_BACKENDS: url,
              LLAMERO_PORT: "0",
              LLAMERO_PINNED: SimulatedFleet.Model.embedder.name,
              LLAMERO_VRAM: "on",
              LLAMERO_VRAM_RESERVE: "1GiB",
            })
            const [, router] = yield* prints(server, /listening on (http:\/\/[\d.]+:\d+)/)
            const read = (path: string) => Effect.promise(() => fetch(`${router}${path}`))
            const ready = Effect.flatMap(
              read("/readyz"),
              ({ status }) => status === 200 ? Effect.void : Effect.fail("no"),
            )
            yield* Effect.retry(ready, Schedule.spaced("50 millis")).pipe(Effect.timeout("20 seconds"))
            const metrics = yield* Effect.flatMap(read("/metrics"), (answer) => Effect.promise(() => answer.text()))
            const value = (name: string) =>
              Number(new RegExp(`^llamero_device_${name}_bytes\\{device="GPU-[^"]*"\\} (\\d+)`, "m").exec(metrics)?.[1])
            assert.strictEqual(value("total"), 24 * 2 ** 30)
            // The card shows 4 GiB of other programs, and 1 GiB stays free.
            assert.isAtLeast(value("allocated"), 2 ** 28)
            assert.strictEqual(value("free"), 20 * 2 ** 30)
            assert.isAtMost(value("capacity"), 24 * 2 ** 30 - 2 ** 30)
            assert.isAtMost(value("allocated"), value("capacity"))
          })),
      )
    }

    it.live("gpu-agent refuses to start without a token", () =>
      Effect.gen(function* () {
        const { printed, status } = yield* run([...runtimes[runtime], "examples/gpu-agent.ts"], {})
        assert.strictEqual(status, 1)
        assert.include(printed, "LLAMERO_AGENT_TOKEN")
      }))

    it.live.skipIf(fake === undefined)(
      "gpu-agent shows this machine's cards with the token",
      () =>
        Effect.scoped(Effect.gen(function* () {
          const running = yield* start([...runtimes[runtime], "examples/gpu-agent.ts"], {
            ...agentEnv,
            ...scripted(FakeNvml.cards(2)),
          })
          const [, url = ""] = yield* prints(running, /(http:\/\/\S+:\d+)/)
          const remote = (token: string) =>
            HttpGpuProbe.layer({ url, token: Redacted.make(token) }).pipe(Layer.provide(FetchHttpClient.layer))
          const { devices, source } = yield* Effect.provide(read, remote("s3cret"))
          assert.match(source, /^agent 127\.0\.0\.1:\d+, nvml$/)
          assert.deepStrictEqual(
            devices.map(({ free }) => free),
            [ByteSize.gibibytes(20), ByteSize.gibibytes(20)].map(Option.some),
          )
          assert.strictEqual(
            (yield* Effect.flip(Effect.provide(read, remote("guess")))).reason._tag,
            "PermissionDenied",
          )
        })),
    )
  })
}
