/**
 * Keys and prompts travel through the reference server, on every path and with every kind of failure. None of them may
 * appear in anything that it prints, shows or answers itself.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"
import * as SimulatedOllamaServer from "../../src/simulated/SimulatedOllamaServer.ts"
import { prints, runtimes, start } from "../support/processes.ts"

const { Fault } = SimulatedFleet
const key = "sk-0123456789abcdef-of-a-client"
const limited = "sk-fedcba9876543210-of-another"
const wrong = "sk-wrong-and-not-to-be-told-either"
const admin = "a-token-for-operators-only"
const prompt = "xyzzy-a-prompt-that-nobody-may-read"
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex")
/** What backends ask for. */
const user = "a-user-of-the-backend"
const password = "a-password-of-the-backend"
const token = "a-token-that-another-backend-wants"
const headerValue = "a-header-of-a-third-backend"
const basic = btoa(`${user}:${password}`)
const ofBackends = [user, password, basic, token, headerValue]
const secrets = [key, limited, wrong, admin, sha256(key), sha256(limited), sha256(admin)]

const model = "tiny-eos"
const messages = [{ role: "user", content: prompt }]
const paths: ReadonlyArray<readonly [path: string, upstream: string, body: object]> = [
  ["/api/chat", "/api/chat", { messages }],
  ["/api/generate", "/api/generate", { prompt, system: prompt }],
  ["/v1/chat/completions", "/v1/chat/completions", { messages }],
  ["/v1/completions", "/v1/completions", { prompt }],
  ["/v1/responses", "/v1/responses", { input: prompt, instructions: prompt }],
  ["/v1/messages", "/v1/messages", { messages, max_tokens: 9 }],
  ["/api/v1/generate", "/api/generate", { prompt }],
]
/** Some faults repeat the prompt, as a backend may. */
const faults: Readonly<Record<string, SimulatedFleet.Fault.Fault>> = {
  "500": Fault.failure(500, `cannot template ${prompt}`),
  "400": Fault.failure(400, `invalid input ${prompt}`),
  "page": Fault.answer({ status: 502, body: `<h1>${prompt}</h1>` }),
  "reset": Fault.reset(),
  "garbage": Fault.garbage,
  "crash": Fault.crash(1),
  "truncate": Fault.truncate(1),
  "midway": Fault.reset(1),
  "stall": Fault.stall(1),
  "hang": Fault.hang,
}
/** Status of each fault that comes before the first byte. */
const wholeFaults: Readonly<Record<string, number>> = {
  500: 500,
  400: 400,
  page: 502,
  reset: 502,
  garbage: 502,
  hang: 504,
}
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

describe("the router's output", () => {
  it.live(
    "contains no key and no prompt, with every kind of failure",
    () =>
      Effect.scoped(Effect.gen(function* () {
        const { server, url: backend } = yield* SimulatedOllamaServer.make({
          decodeRate: 1000,
          credentials: { authorization: `Basic ${basic}` },
        })
        // It wants something else than it gets, so that it answers every probe with 401.
        const { url: other } = yield* SimulatedOllamaServer.make({ credentials: { authorization: "nothing of this" } })
        const folder = yield* Effect.acquireRelease(
          Effect.promise(() => mkdtemp(join(tmpdir(), "llamero-"))),
          (path) => Effect.promise(() => rm(path, { recursive: true })),
        )
        const file = join(folder, "keys.json")
        const fleetFile = join(folder, "fleet.json")
        const backends = [
          backend.replace("//", `//${user}:${password}@`),
          { url: "http://127.0.0.1:1", token: { file: join(folder, "token") } },
          {
            url: other,
            id: "other",
            token: { file: join(folder, "token") },
            headers: { "X-Own": { env: "OWN_HEADER" } },
          },
        ]
        yield* Effect.promise(() => writeFile(join(folder, "token"), token))
        yield* Effect.promise(() => writeFile(fleetFile, JSON.stringify({ backends })))
        yield* Effect.promise(() =>
          writeFile(
            file,
            JSON.stringify({
              keys: [
                { id: "client", sha256: sha256(key) },
                { id: "other", sha256: sha256(limited), models: [model], requestsPerMinute: 1 },
              ],
            }),
          )
        )
        const router = yield* start([...runtimes.node, "src/command/serve/server.ts"], {
          LLAMERO_FLEET_FILE: fleetFile,
          OWN_HEADER: headerValue,
          LLAMERO_DECISIONS: "100",
          LLAMERO_PORT: "0",
          LLAMERO_LOG_LEVEL: "All",
          LLAMERO_KEYS_FILE: file,
          LLAMERO_ADMIN_TOKEN: admin,
          LLAMERO_PLUGINS: "test/support/printingObserver.ts",
          LLAMERO_PULLS: "new*",
          LLAMERO_BODY_LIMIT: "64KiB",
          LLAMERO_BREAKER_FAILURES: "1000",
          LLAMERO_FIRST_BYTE_TIMEOUT: "3s",
          LLAMERO_GAP_TIMEOUT: "3s",
        })
        const [, url = ""] = yield* prints(router, /istening on (http:\/\/[\d.]+:\d+)/)
        /** The router's own words: all answers except those of a backend. */
        const said: Array<string> = []
        /** All answers. */
        const answered: Array<string> = []
        const call = (
          method: string,
          path: string,
          headers: HeadersInit,
          body?: string | Uint8Array<ArrayBuffer> | FormData,
        ) =>
          Effect.promise(async () => {
            const response = await fetch(url + path, { method, headers, ...(body === undefined ? {} : { body }) })
            const text = await response.text().catch(String)
            answered.push(JSON.stringify([...response.headers]), text)
            return { status: response.status, text }
          })
        const own = (...args: Parameters<typeof call>) =>
          Effect.tap(call(...args), ({ text }) => Effect.sync(() => said.push(text)))
        const ready = Effect.map(call("GET", "/readyz", {}), ({ status }) => status === 200)
        yield* Effect.repeat(Effect.delay(ready, "20 millis"), { until: (yes) => yes })
        const chat = JSON.stringify({ model, messages })

        for (const [path, upstream, rest] of paths) {
          const body = JSON.stringify({ model, stream: true, ...rest })
          assert.strictEqual((yield* call("POST", path, bearer(key), body)).status, 200, path)
          for (const [name, fault] of Object.entries(faults)) {
            // A silent backend takes long, and is the same on every path.
            if ((name === "hang" || name === "stall") && path !== "/api/chat") continue
            // A reset on a pooled connection is repeated once.
            const clear = server.script(fault, { path: upstream, times: name === "reset" ? 2 : 1 })
            const { status } = yield* call("POST", path, bearer(key), body)
            clear()
            assert.strictEqual(status, wholeFaults[name] ?? status, `${path}: ${name}`)
          }
          assert.strictEqual((yield* own("POST", path, bearer(wrong), body)).status, 401, path)
        }

        const refused = (wanted: number, ...args: Parameters<typeof call>) =>
          Effect.tap(own(...args), ({ status }) =>
            Effect.sync(() => assert.strictEqual(status, wanted, args[3] as string)))
        const auth = bearer(key)
        yield* refused(400, "POST", "/api/chat", auth, chat.slice(0, -2))
        yield* refused(400, "POST", "/v1/chat/completions", auth, prompt)
        yield* refused(400, "POST", "/api/chat", auth, JSON.stringify({ model: [prompt] }))
        yield* refused(400, "POST", "/api/chat", auth, `{"model":"${model}","MODEL":"${prompt}"}`)
        yield* refused(
          400,
          "POST",
          "/api/chat",
          auth,
          JSON.stringify({ model, messages: [{ role: "user", content: `${prompt} `.repeat(1500) }] }),
        )
        yield* refused(413, "POST", "/api/chat", auth, prompt.repeat(5000))
        yield* refused(
          400,
          "POST",
          "/api/chat",
          { ...auth, "content-encoding": "gzip" },
          new TextEncoder().encode(prompt),
        )
        yield* refused(404, "POST", "/api/chat", auth, JSON.stringify({ model: "nobody-has-it", messages }))
        yield* refused(403, "POST", "/api/chat", bearer(limited), JSON.stringify({ model: "tiny-loop", messages }))
        yield* own("POST", "/api/chat", bearer(limited), chat)
        yield* refused(429, "POST", "/api/chat", bearer(limited), chat)
        yield* refused(401, "POST", "/api/chat", { authorization: `Basic ${key}`, cookie: `key=${key}` }, chat)
        yield* refused(401, "POST", `/api/chat?api_key=${key}`, { "x-api-key": wrong }, chat)
        const form = new FormData()
        form.set("model", model)
        form.set("prompt", prompt)
        yield* refused(400, "POST", "/v1/audio/transcriptions", auth, form)
        yield* refused(401, "GET", `/api/tags?api_key=${key}&q=${prompt}`, {})
        yield* refused(401, "GET", "/v1/models", bearer(wrong))
        yield* refused(404, "POST", "/api/show", auth, JSON.stringify({ model: "nobody-has-it", system: prompt }))
        yield* refused(403, "POST", "/api/pull", auth, JSON.stringify({ model: "old", password: key }))
        yield* refused(200, "POST", "/api/pull", auth, JSON.stringify({ model: "new", password: key }))
        yield* refused(403, "POST", "/api/create", auth, JSON.stringify({ model: "x", system: prompt }))
        yield* refused(404, "POST", `/no/such/path?${key}`, auth, chat)
        yield* refused(401, "GET", "/admin/queues", bearer(wrong))

        // Clients that leave: before the first byte, and in the middle.
        for (const fault of [Fault.hang, Fault.stall(1)]) {
          server.script(fault, { path: "/api/chat", times: 1 })
          const before = server.calls.length
          const aborts = new AbortController()
          const left = fetch(`${url}/api/chat`, { method: "POST", headers: auth, body: chat, signal: aborts.signal })
            .then((response) =>
              response.body?.getReader().read()
            )
            .then(() => aborts.abort(), () => {})
          const arrived = Effect.sync(() => server.calls.slice(before).some(({ path }) => path === "/api/chat"))
          yield* Effect.repeat(Effect.delay(arrived, "20 millis"), { until: (yes) => yes })
          if (fault === Fault.hang) aborts.abort()
          yield* Effect.promise(() => left)
        }

        for (
          const path of [
            "/metrics",
            "/healthz",
            `/healthz?backend=${encodeURIComponent(backend)}`,
            "/api/tags",
            "/api/ps",
            "/v1/models",
          ]
        ) {
          yield* own("GET", path, auth)
        }
        assert.strictEqual((yield* own("GET", "/admin/queues", bearer(admin))).status, 200)
        assert.strictEqual((yield* own("GET", "/admin/decisions", bearer(admin))).status, 200)
        // A fleet file that cannot be read, with the secrets in it.
        yield* Effect.promise(() => writeFile(fleetFile, `${JSON.stringify({ backends })} ${password}`))
        yield* prints(router, /reload refused, nothing has changed: LLAMERO_FLEET_FILE/)
        yield* prints(router, /event .*"canceled"/)
        for (const tag of ["RequestSettled", "AttemptFailed", "HealthChanged"]) {
          yield* prints(router, new RegExp(`event .*${tag}`))
        }

        // The backend's own password reached it with each call, and nothing else did in its place.
        for (const { headers, path } of server.calls) assert.include(headers, `Basic ${basic}`, path)
        const told = (texts: ReadonlyArray<string>, words: ReadonlyArray<string>) =>
          texts.join("\n").split("\n").filter((line) => words.some((word) => line.includes(word)))
        assert.deepStrictEqual(told([router.printed(), ...answered], [...secrets, ...ofBackends]), [])
        assert.deepStrictEqual(told([router.printed(), ...said], [prompt]), [])
        const forwarded = JSON.stringify(server.calls.map(({ headers }) => headers))
        for (const secret of secrets) assert.notInclude(forwarded, secret)
      })),
    60_000,
  )
})
