/** The examples that end by themselves say what they are meant to say, on Node and on Deno. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { type AddressInfo, createServer, type Server } from "node:net"
import { join, resolve } from "node:path"
import * as SimulatedOllamaServer from "../../src/simulated/SimulatedOllamaServer.ts"
import { denoServe, prints, run, runtimes, start } from "../support/processes.ts"

const examplesFolder = resolve(import.meta.dirname, "../../examples")
const examples: Readonly<Record<string, ReadonlyArray<RegExp>>> = {
  "03-two-gpus.ts": [
    /gpu-2: 7\.5 of 10\.0 GiB, 0\.0 foreign: mistral:7b \(resident\), gte-qwen2:1\.5b \(resident\)/,
    /another program takes memory[^]*gpu-2: 7\.5 of 6\.5 GiB, 3\.5 foreign: mistral:7b.*; 1\.0 GiB too much, so no other model fits here$/m,
  ],
  "05-tenants-and-keys.ts": [
    /no key: 401/,
    /no key, a list: 401/,
    /the shop: 200/,
    /research, another model: 403/,
    /research, second time: 200/,
    /research, third time: 429/,
  ],
  "07-fallback-chain.ts": [
    /both are up: 200, gpt-4o is llama3\.1:8b$/m,
    /short: 200, gpt-4o-mini is mistral:7b$/m,
    /long: 200, gpt-4o-mini is llama3\.1:8b$/m,
    /the big one is out: 200, gpt-4o is mistral:7b$/m,
  ],
  "08-coalescing.ts": [
    /\/api\/chat: 100 requests, 1 different answers, 1 upstream calls/,
    /1000 requests, 1000 different answers/,
  ],
  "12-property-testing.ts": [
    /^ok: rates every backend in \[0, 1\], and the same way again$/m,
    /^ok: of two equal backends, the less busy one gets the higher score$/m,
    /^ok: every request has one answer, and nothing of it is left behind, whatever the history$/m,
    /^not so: rates every backend in \[0, 1\], and the same way again\n  is rated [24]$/m,
  ],
  "14-custom-admission.ts": [/^ok: passes AdmissionContract$/m],
  "15-several-servers.ts": [
    /^1 servers, 1 copies: [78]\d\.?5? texts a second$/m,
    /^2 servers, 2 copies: 1[456]\d\.?5? texts a second$/m,
    /^4 servers, 4 copies: (2[7-9]|3[01])\d\.?5? texts a second$/m,
  ],
  "09-custom-gpu-source.ts": [/^(system-memory: System memory: .* free|dcgm: )/m],
}

for (const [file, wanted] of Object.entries(examples)) {
  describe(file, () => {
    for (const [runtime, command] of Object.entries(runtimes)) {
      it.live(`on ${runtime}`, () =>
        Effect.gen(function* () {
          const { printed, status } = yield* run([...command, `examples/${file}`], {})
          assert.strictEqual(status, 0, printed)
          for (const line of wanted) assert.match(printed, line)
        }), 180_000)
    }
  })
}

const chat = { model: "tiny-eos", stream: false, messages: [{ role: "user", content: "hi" }] }
const post = (url: string, headers = {}) =>
  Effect.promise(async () => {
    const response = await fetch(url, { method: "POST", body: JSON.stringify(chat), headers })
    return { status: response.status, text: await response.text() }
  })

for (const [runtime, command] of Object.entries(runtimes)) {
  describe(`examples that stay, on ${runtime}`, () => {
    it.live(
      "10-inside-an-effect-app.ts: the router and the app's own routes, on one port",
      () =>
        Effect.gen(function* () {
          const running = yield* start([...command, "examples/10-inside-an-effect-app.ts"], { PORT: "0" })
          const [, url = ""] = yield* prints(running, /listening on (http:\/\/[\d.]+:\d+)/)
          for (const status of [200, 200, 429]) {
            assert.strictEqual((yield* post(`${url}/api/chat`, { "x-team": "red" })).status, status)
          }
          const bill = yield* Effect.promise(() => fetch(`${url}/bill`).then((response) => response.json()))
          assert.deepStrictEqual(bill, { red: 3 })
        }).pipe(Effect.scoped),
      60_000,
    )

    it.live("11-inside-node-http.ts: behind another server's path", () =>
      Effect.gen(function* () {
        const running = yield* start([...command, "examples/11-inside-node-http.ts"], { PORT: "0" })
        const [, port = ""] = yield* prints(running, /port: (\d+)/)
        const { status, text } = yield* post(`http://127.0.0.1:${port}/ai/api/chat`)
        assert.strictEqual(status, 200, text)
        assert.isTrue(JSON.parse(text).done)
      }).pipe(Effect.scoped), 60_000)
  })
}

describe("examples on a port that is taken", () => {
  const taken = Effect.acquireRelease(
    Effect.promise(() =>
      new Promise<Server>((resolve) => {
        const server = createServer().listen(0, "127.0.0.1", () => resolve(server))
      })
    ),
    (server) => Effect.sync(() => server.close()),
  )
  for (const file of ["01-one-backend", "02-custom-scorer", "10-inside-an-effect-app", "11-inside-node-http"]) {
    for (const [runtime, command] of Object.entries(runtimes)) {
      it.live(`${file}.ts on ${runtime} says so in one line, and has no stack`, () =>
        Effect.gen(function* () {
          const { port } = (yield* taken).address() as AddressInfo
          const { printed, status } = yield* run([...command, `examples/${file}.ts`], { PORT: String(port) })
          assert.strictEqual(status, 1, printed)
          const lines = printed.trimEnd().split("\n").filter((line) => !line.includes("backend is healthy"))
          assert.lengthOf(lines, 1, printed)
          assert.match(lines[0]!, new RegExp(`127\\.0\\.0\\.1:${port}.*set PORT to a free port$`))
        }), 60_000)
    }
  }
})

it.live("06-deno-serve.ts serves what it routes to", () =>
  Effect.gen(function* () {
    const { url } = yield* SimulatedOllamaServer.make()
    const running = yield* start([...denoServe, "examples/06-deno-serve.ts"], { OLLAMA_URL: url })
    const [, port = ""] = yield* prints(running, /istening on http:\/\/[^:]+:(\d+)/)
    const { status, text } = yield* post(`http://127.0.0.1:${port}/api/chat`)
    assert.strictEqual(status, 200, text)
  }).pipe(Effect.scoped), 60_000)

describe("examples stay short", () => {
  /** Lines after the imports that are not empty, up to a part that begins with `// To try it:`. */
  const lines = (file: string): number => {
    const text = readFileSync(join(examplesFolder, file), "utf8")
    const [part = ""] = text.slice(text.lastIndexOf("\nimport ")).split("\n// To try it:")
    return part.split("\n").slice(2).filter((line) => line.trim() !== "").length
  }
  const limits = {
    "02-custom-scorer.ts": 15,
    "09-custom-gpu-source.ts": 25,
    "13-tenants-profiles-and-redis.ts": 30,
    "14-custom-admission.ts": 15,
  }
  for (const [file, most] of Object.entries(limits)) it(file, () => assert.isAtMost(lines(file), most))

  it("none has more than 60 lines", () => {
    for (const file of readdirSync(examplesFolder).filter((name) => /^\d\d-.*\.ts$/.test(name))) {
      assert.isAtMost(readFileSync(join(examplesFolder, file), "utf8").trimEnd().split("\n").length, 60, file)
    }
  })
})
