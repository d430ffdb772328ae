/** The command as a whole, in front of simulated Ollama servers: without sockets, and on sockets. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type RequestListener } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import * as SimulatedOllamaServer from "../../../src/simulated/SimulatedOllamaServer.ts"
import * as SimulatedTransport from "../../../src/simulated/SimulatedTransport.ts"
import { Transport } from "../../../src/services/Transport.ts"
import { gib } from "./healthy.ts"
import { doctor, idsOf, reportOf, using, withGpu, withoutGpu } from "./running.ts"

const { Fault, Model } = SimulatedFleet
const urls = ["http://127.0.0.1:11434", "http://127.0.0.1:11436"] as const

/** A file with variables of Ollama. */
const ollamaEnv = (...lines: ReadonlyArray<string>): Effect.Effect<string, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "doctor-env-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true })),
    ),
    (folder) => {
      const path = join(folder, "ollama.env")
      writeFileSync(path, `${lines.join("\n")}\n`)
      return path
    },
  )

const card = { gpus: ["24 GiB"], models: [Model.llama31, Model.embedder], contextLength: 8192 } as const
const fleet = (options: SimulatedFleet.ServerOptions = card, other: SimulatedFleet.ServerOptions = options) =>
  SimulatedTransport.layer.pipe(Layer.provideMerge(SimulatedFleet.layer({ [urls[0]]: options, [urls[1]]: other })))

const backends = { LLAMERO_BACKENDS: urls.join() }
const managed = { ...backends, LLAMERO_VRAM: "on", LLAMERO_PREWARM: "llama3.1:8b,gte-qwen2:1.5b" }
const good = ["OLLAMA_NUM_PARALLEL=4", "OLLAMA_CONTEXT_LENGTH=8192", "OLLAMA_KEEP_ALIVE=-1"]

describe("doctor in front of simulated servers", () => {
  it.effect("says of a healthy fleet that it is healthy, and ends with 0", () =>
    Effect.gen(function* () {
      const transport = using(yield* Transport)
      const args = ["--ollama-env", yield* ollamaEnv(...good), "--model", "LLAMA3.1:8b", "--strict"]
      const found = yield* reportOf(args, { env: managed, ...transport })
      assert.deepStrictEqual(found.findings, [])
      assert.isTrue(found.healthy)
      assert.strictEqual(found.status, 0)
      assert.deepStrictEqual(found.lookedAt.backends.map(({ version }) => version), ["0.33.0-rc2", "0.33.0-rc2"])
      assert.deepStrictEqual(found.lookedAt.models, ["llama3.1:8b", "gte-qwen2:1.5b"])
      assert.deepStrictEqual(found.unknown.map(({ what }) => what), [
        "what a running router has learned",
        "the limit of open files",
      ])
      const { out, status } = yield* doctor(args, { env: managed, ...transport })
      assert.strictEqual(status, 0)
      assert.match(out, /^Healthy: no problem found with 2 backends\.\n/)
      assert.include(out, "this machine: NVIDIA L4 with 24.0 GiB (driver 580.95.05, CUDA 13.0)")
    }).pipe(Effect.provide(fleet())))

  it.effect("estimates as the router does that a model does not fit with the automatic context", () =>
    Effect.gen(function* () {
      const transport = using(yield* Transport)
      const env = yield* ollamaEnv("OLLAMA_NUM_PARALLEL=8")
      const { findings } = yield* reportOf(["--ollama-env", env], {
        env: { ...managed, LLAMERO_PREWARM: "llama3.1:8b", LLAMERO_BACKENDS: urls[0] },
        ...transport,
      })
      assert.deepStrictEqual(findings.map(({ id, subject }) => [id, subject]), [
        ["context-too-large", "llama3.1:8b on 127.0.0.1:11434"],
      ])
      assert.include(findings[0]!.symptom, "32768 tokens")
      assert.match(findings[0]!.remedy, /OLLAMA_CONTEXT_LENGTH=(8192|16384) /)
    }).pipe(Effect.provide(fleet())))

  it.effect("finds a model that no GPU holds, and a plan that does not fit together", () =>
    Effect.gen(function* () {
      const transport = using(yield* Transport)
      const args = ["--ollama-env", yield* ollamaEnv(...good)]
      const on = (here: number) => idsOf(args, { env: managed, here: withGpu(here), ...transport })
      assert.deepStrictEqual(yield* on(24 * gib), [])
      assert.deepStrictEqual(yield* on(13 * gib), ["prewarm-too-large"])
      assert.deepStrictEqual(yield* on(6 * gib), ["model-too-large"])
    }).pipe(Effect.provide(fleet())))

  it.effect("finds an old server, one without a model, and one with another model of the same name", () =>
    Effect.gen(function* () {
      const transport = using(yield* Transport)
      const args = ["--ollama-env", yield* ollamaEnv(...good), "--model", "gte-qwen2:1.5b"]
      const { findings, status } = yield* reportOf(args, { env: backends, ...transport })
      assert.deepStrictEqual(findings.map(({ id, subject }) => [id, subject]), [
        ["ollama-old", "127.0.0.1:11436"],
        ["model-not-everywhere", "gte-qwen2:1.5b"],
        ["digests-differ", "llama3.1:8b"],
      ])
      assert.strictEqual(status, 1)
    }).pipe(
      Effect.provide(fleet(card, {
        ...card,
        version: "0.5.3",
        models: [{ ...Model.llama31, digest: "0".repeat(64) }],
      })),
    ))

  it.effect("waits for a slow server, and no longer than --timeout for one that hangs", () =>
    Effect.gen(function* () {
      const transport = using(yield* Transport)
      const { get } = yield* SimulatedFleet.SimulatedFleet
      const args = ["--ollama-env", yield* ollamaEnv(...good), "--timeout", "3s"]
      const after = (time: "2 seconds" | "3 seconds") =>
        Effect.gen(function* () {
          const before = get(urls[1]).calls.length
          const asking = yield* Effect.forkChild(reportOf(args, { env: backends, ...transport }))
          // Files are read in real time, before anything is asked.
          while (get(urls[1]).calls.length === before) yield* Effect.promise(() => new Promise(setImmediate))
          yield* TestClock.adjust(time)
          return (yield* Fiber.join(asking)).findings.map(({ cause, id }) => [id, cause])
        })
      get(urls[1]).script(Fault.slow("2 seconds"), { path: "/api/version", times: 1 })
      const [[slow] = []] = yield* after("2 seconds")
      assert.strictEqual(slow, "backend-slow")
      get(urls[1]).script(Fault.hang, { path: "/api/version", times: 1 })
      const [[hung, why] = []] = yield* after("3 seconds")
      assert.strictEqual(hung, "backend-unreachable")
      assert.include(why, "the server hangs")
    }).pipe(Effect.provide(fleet())))
})

/** A server of HTTP that is no Ollama. */
const other = (answer: RequestListener): Effect.Effect<string, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createServer>>((resume) => {
        const server = createServer(answer).listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          server.closeAllConnections()
        }),
    ),
    (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  )

const load = (url: string, model: string, options: object = {}) =>
  Effect.promise(async () => {
    const body = JSON.stringify({ model, options, stream: false })
    const response = await fetch(`${url}/api/generate`, { method: "POST", body })
    assert.strictEqual(response.status, 200, await response.text())
  })

describe("doctor on sockets", () => {
  it.live("a healthy server, with a model in memory", () =>
    Effect.scoped(Effect.gen(function* () {
      const { url } = yield* SimulatedOllamaServer.make(card)
      yield* load(url, "llama3.1:8b")
      const args = ["--backend", url, "--ollama-env", yield* ollamaEnv(...good), "--model", "llama3.1:8b", "--strict"]
      const { findings, healthy, status } = yield* reportOf(args)
      assert.deepStrictEqual(findings, [])
      assert.deepStrictEqual([healthy, status], [true, 0])
    })))

  it.live("nothing listens there", () =>
    Effect.scoped(Effect.gen(function* () {
      const url = yield* Effect.scoped(other(() => {}))
      const { findings, status } = yield* reportOf(["--backend", url])
      assert.deepStrictEqual(findings.map(({ id }) => id), ["backend-unreachable"])
      assert.include(findings[0]!.cause, "Nothing listens there")
      assert.strictEqual(status, 1)
    })))

  it.live("a name that does not exist", () =>
    Effect.gen(function* () {
      const { findings } = yield* reportOf(["--backend", "http://no-such-host.invalid:11434"])
      assert.deepStrictEqual(findings.map(({ cause, id }) => [id, cause]), [
        ["backend-unreachable", "The name of its host does not resolve."],
      ])
    }))

  it.live("a web server, a proxy without its Ollama, and a user that is missing", () =>
    Effect.scoped(Effect.gen(function* () {
      const answering = (status: number, text: string) =>
        other((_, response) => void response.writeHead(status, { "content-type": "text/html" }).end(text))
      const page = yield* answering(200, "<h1>It works!</h1>")
      const proxy = yield* answering(502, "<h1>502 Bad Gateway</h1>")
      const { url } = yield* SimulatedOllamaServer.make({ ...card, credentials: { "x-key": "secret" } })
      assert.deepStrictEqual(yield* idsOf(["--backend", page]), ["not-ollama"])
      assert.deepStrictEqual(yield* idsOf(["--backend", proxy]), ["not-ollama"])
      assert.deepStrictEqual(yield* idsOf(["--backend", url]), ["backend-refuses"])
    })))

  it.live("TLS where the URL says http, and the other way round", () =>
    Effect.scoped(Effect.gen(function* () {
      const { url } = yield* SimulatedOllamaServer.make(card)
      assert.deepStrictEqual(yield* idsOf(["--backend", url.replace("http:", "https:")]), ["not-ollama"])
    })))

  it.live("a clock that is an hour behind", () =>
    Effect.scoped(Effect.gen(function* () {
      const url = yield* other((request, response) => {
        response.setHeader("date", new Date(Date.now() - 3_600_000).toUTCString())
        response.end(request.url === "/api/version" ? `{"version":"0.33.1"}` : `{"models":[]}`)
      })
      const { findings } = yield* reportOf(["--backend", url, "--ollama-env", yield* ollamaEnv(...good)])
      assert.deepStrictEqual(findings.map(({ id }) => id), ["clock-skew"])
      assert.match(findings[0]!.symptom, /(59|60) min behind|3\d{3}(\.\d)? s behind/)
    })))

  it.live("a model that spills, and one that is on the CPU", () =>
    Effect.scoped(Effect.gen(function* () {
      const env = yield* ollamaEnv(...good)
      const ids = (url: string, here = withGpu()) => idsOf(["--backend", url, "--ollama-env", env], { here })
      const small = yield* SimulatedOllamaServer.make({ ...card, gpus: ["4 GiB"] })
      yield* load(small.url, "llama3.1:8b")
      assert.deepStrictEqual(yield* ids(small.url, withGpu(4 * gib)), ["model-spilled"])
      const cpu = yield* SimulatedOllamaServer.make({ ...card, gpus: [] })
      yield* load(cpu.url, "llama3.1:8b")
      assert.deepStrictEqual(yield* ids(cpu.url), ["gpu-unused"])
      assert.deepStrictEqual(yield* ids(cpu.url, withoutGpu), ["cpu-unlabelled"])
    })))

  it.live("a router that needs its token, and what it has learned", () =>
    Effect.scoped(Effect.gen(function* () {
      const { url } = yield* SimulatedOllamaServer.make(card)
      const router = yield* other((request, response) => {
        const isAllowed = request.headers.authorization === "Bearer secret"
        const models = [{ model: "llama3.1:8b", streams_max: 9, state: "resident" }]
        const backend = { id: new URL(url).host, url, health: "healthy", reason: "", models }
        response.writeHead(isAllowed ? 200 : 401).end(JSON.stringify({ backends: [backend], prewarm: [] }))
      })
      const args = ["--backend", url, "--url", router, "--ollama-env", yield* ollamaEnv(...good)]
      assert.deepStrictEqual(yield* idsOf(args), ["router-token"])
      assert.deepStrictEqual(yield* idsOf([...args, "--token", "wrong"]), ["router-token"])
      assert.deepStrictEqual(yield* idsOf([...args, "--token", "secret"]), ["parallelism-high"])
      assert.deepStrictEqual(yield* idsOf(args, { env: { LLAMERO_ADMIN_TOKEN: "secret" } }), ["parallelism-high"])
    })))

  it.live("a GPU agent that does not run, and one that refuses the token", () =>
    Effect.scoped(Effect.gen(function* () {
      const { url } = yield* SimulatedOllamaServer.make(card)
      const gone = yield* Effect.scoped(other(() => {}))
      const strict = yield* other((_, response) => void response.writeHead(401).end())
      const found = (agent: string) =>
        reportOf(["--backend", url, "--ollama-env", "/dev/null"], {
          env: { LLAMERO_VRAM: "on", LLAMERO_AGENTS: agent, LLAMERO_AGENT_TOKEN: "t" },
        })
      for (const [agent, cause] of [[gone, "The GPU agent does not run"], [strict, "The GPU agent refuses"]] as const) {
        const { findings } = yield* found(agent)
        assert.deepStrictEqual(findings.map(({ id }) => id), ["gpu-unreadable", "parallelism-one"])
        assert.include(findings[0]!.cause, cause)
      }
    })))
})

describe("settings, flags and status", () => {
  it.live("all that is wrong with the settings is told, and what can be read is still looked at", () =>
    Effect.scoped(Effect.gen(function* () {
      const { url } = yield* SimulatedOllamaServer.make(card)
      const env = { LLAMERO_BACKENDS: url, LLAMERO_PORT: "many", LLAMERO_HEARBEAT: "5s", LLAMERO_CA_FILE: "/no/ca.pem" }
      const { findings, lookedAt } = yield* reportOf(["--ollama-env", yield* ollamaEnv(...good)], { env })
      assert.deepStrictEqual(findings.map(({ id, subject }) => [id, subject]), [
        ["settings-wrong", "LLAMERO_HEARBEAT"],
        ["settings-wrong", "LLAMERO_PORT"],
        ["settings-wrong", "LLAMERO_CA_FILE"],
      ])
      assert.deepStrictEqual(lookedAt.backends.map((one) => one.url), [url])
    })))

  it.live("a file of settings counts before the environment, and its mistakes have their place", () =>
    Effect.scoped(Effect.gen(function* () {
      const { url } = yield* SimulatedOllamaServer.make(card)
      const path = `${yield* ollamaEnv("")}.json`
      writeFileSync(path, JSON.stringify({ backends: [url], heartbeatt: "5s", heartbeat: "90s" }, undefined, 2))
      const env = { LLAMERO_BACKENDS: "http://127.0.0.1:1" }
      const run = (args: ReadonlyArray<string>, more: object = {}) =>
        Effect.gen(function* () {
          return yield* reportOf(["--ollama-env", yield* ollamaEnv(...good), ...args], { env: { ...env, ...more } })
        })
      for (const found of [yield* run(["--config", path]), yield* run([], { LLAMERO_CONFIG: path })]) {
        assert.deepStrictEqual(found.findings.map(({ id, subject }) => [id, subject]), [
          ["settings-wrong", `${path}:5:3`],
          ["heartbeat-slow", "LLAMERO_HEARTBEAT"],
        ])
        assert.deepStrictEqual(found.lookedAt.backends.map((one) => one.url), [url])
      }
      const { findings } = yield* run(["--config", "/no/llamero.json"])
      assert.include(findings.map(({ symptom }) => symptom), "--config: there is no file /no/llamero.json")
    })))

  it.live("a fleet file that is not there", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* idsOf([], { env: { LLAMERO_FLEET_FILE: "/no/fleet.json" } }), ["fleet-unreadable"])
    }))

  it.live("advice and warnings leave 0; --strict makes 1 of a warning", () =>
    Effect.scoped(Effect.gen(function* () {
      const { url } = yield* SimulatedOllamaServer.make({ ...card, version: "0.30.0" })
      const run = (args: ReadonlyArray<string>, ...lines: ReadonlyArray<string>) =>
        Effect.gen(function* () {
          return yield* doctor(["--backend", url, "--ollama-env", yield* ollamaEnv(...good, ...lines), ...args])
        })
      const advice = yield* run(["--strict"])
      assert.strictEqual(advice.status, 0)
      assert.include(advice.out, "ADVICE")
      assert.include(advice.out, "Healthy: no problem found with 1 backend; 1 piece of advice.")
      assert.strictEqual((yield* run([], "OLLAMA_MAX_VRAM=0")).status, 0)
      const strict = yield* run(["--strict"], "OLLAMA_MAX_VRAM=0")
      assert.strictEqual(strict.status, 1)
      assert.include(strict.out, "Found 1 warning and 1 piece of advice with 1 backend.")
    })))

  const wrong = [
    ["an address", ["--backend", "http://"]],
    ["a duration", ["--timeout", "soon"]],
    ["a URL", ["--url", "router"]],
    ["a file", ["--ollama-env", "/no/such/file"]],
  ] as const
  for (const [what, args] of wrong) {
    it.live(`${what} that cannot be read is an error, and nothing is asked`, () =>
      Effect.gen(function* () {
        const { out, status } = yield* doctor(args)
        assert.notStrictEqual(status, 0)
        assert.notInclude(out, "Looked at:")
      }))
  }

  it.live("colours only on a terminal, and not with NO_COLOR; lines fit into it", () =>
    Effect.gen(function* () {
      const run = (env: Readonly<Record<string, string>>, terminal?: { columns: number }) =>
        Effect.map(
          doctor(["--backend", "http://no-such-host.invalid"], terminal === undefined ? { env } : { env, terminal }),
          ({ out }) => out,
        )
      const columns = 60
      assert.include(yield* run({}, { columns }), "\x1b[31mERROR\x1b[0m")
      for (const out of [yield* run({ NO_COLOR: "1" }, { columns }), yield* run({})]) {
        assert.notInclude(out, "\x1b")
        assert.include(out, "ERROR")
      }
      const plain = yield* run({ NO_COLOR: "1" }, { columns })
      const long = plain.split("\n").filter((line) => line.length > columns && !line.startsWith("ERROR"))
      assert.deepStrictEqual(long, [])
      assert.match(plain, /\n {2}cause {3}The name/)
    }))
})
