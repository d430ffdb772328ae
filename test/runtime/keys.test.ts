/**
 * Keys and limits over real sockets, through the reference server: every path, and everything that it prints and shows.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as SimulatedOllamaServer from "../../src/simulated/SimulatedOllamaServer.ts"
import { prints, run, runtimes, start } from "../support/processes.ts"

const secret = "sk-0123456789abcdef-not-to-be-told"
const revoked = "sk-fedcba9876543210-revoked-later"
const wrong = "sk-wrong-and-not-to-be-told-either"
const prompt = "xyzzy-a-prompt-that-nobody-may-read"
const sha256 = (key: string) => createHash("sha256").update(key).digest("hex")
const messages = [{ role: "user", content: prompt }]
const options = { num_predict: 2 }

const inference: ReadonlyArray<readonly [string, object]> = [
  ["/api/chat", { messages, options }],
  ["/api/generate", { prompt, options }],
  ["/api/embed", { model: "tiny-embed", input: prompt }],
  ["/api/embeddings", { model: "tiny-embed", prompt }],
  ["/v1/chat/completions", { messages, max_tokens: 2 }],
  ["/v1/completions", { prompt, max_tokens: 2 }],
  ["/v1/embeddings", { model: "tiny-embed", input: prompt }],
  ["/v1/responses", { input: prompt, max_output_tokens: 2 }],
  ["/v1/messages", { messages, max_tokens: 2 }],
  ["/api/v1/generate", { prompt, options }],
]
const others: ReadonlyArray<readonly [string, string]> = [
  ["GET", "/"],
  ["GET", "/api/version"],
  ["GET", "/api/tags"],
  ["GET", "/api/ps"],
  ["GET", "/api/status"],
  ["POST", "/api/show"],
  ["POST", "/api/pull"],
  ["DELETE", "/api/delete"],
  ["GET", "/v1/models"],
  ["GET", "/v1/models/tiny-eos"],
  ["GET", "/healthz"],
  ["GET", "/metrics"],
  ["GET", "/livez/"],
  ["GET", "/%6civez"],
  ["GET", "/no/such/path"],
]

/** A keys file for one test. */
const keysFile = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "llamero-"))),
    (path) => Effect.promise(() => rm(path, { recursive: true })),
  )
  const file = join(folder, "keys.json")
  const write = (...keys: ReadonlyArray<object>) => Effect.promise(() => writeFile(file, JSON.stringify({ keys })))
  return { file, write }
})

describe("keys", () => {
  it.live(
    "only liveness and readiness without a key; a revoked key is refused at once; no key and no prompt in any output",
    () =>
      Effect.scoped(Effect.gen(function* () {
        const { url: backend } = yield* SimulatedOllamaServer.make({ decodeRate: 1000 })
        const { file, write } = yield* keysFile
        const lasting = { id: "lasting", sha256: sha256(secret), tenant: "team" }
        const limited = { id: "limited", sha256: sha256(revoked), models: ["tiny-eos"], requestsPerMinute: 2 }
        yield* write(lasting, limited)
        const router = yield* start([...runtimes.node, "src/command/serve/server.ts"], {
          LLAMERO_BACKENDS: backend,
          LLAMERO_PORT: "0",
          LLAMERO_LOG_LEVEL: "All",
          LLAMERO_KEYS_FILE: file,
          LLAMERO_ALIASES: "gpt-4o=nowhere|tiny-eos",
        })
        const [, url = ""] = yield* prints(router, /istening on (http:\/\/[\d.]+:\d+)/)
        yield* prints(router, /./)
        const shown: Array<string> = []
        const call = (method: string, path: string, key: string, body?: object, header = "authorization") =>
          Effect.promise(async () => {
            const auth = key === "" ? undefined : { [header]: header === "authorization" ? `Bearer ${key}` : key }
            const response = await fetch(url + path, {
              method,
              ...(auth === undefined ? {} : { headers: auth }),
              ...(body === undefined ? {} : { body: JSON.stringify(body) }),
            })
            const text = await response.text()
            shown.push(JSON.stringify([...response.headers]), text)
            return { status: response.status, text, headers: response.headers }
          })
        const until = (method: string, path: string, key: string, status: number, body?: object) =>
          Effect.gen(function* () {
            while ((yield* call(method, path, key, body)).status !== status) yield* Effect.sleep("50 millis")
          }).pipe(Effect.timeout("20 seconds"))

        yield* until("GET", "/readyz", "", 200)
        assert.strictEqual((yield* call("GET", "/livez?verbose", "")).status, 200)
        for (const [method, path] of others) {
          for (const key of ["", wrong]) {
            const { status, text } = yield* call(method, path, key)
            assert.strictEqual(status, 401, `${path} with ${key === "" ? "no" : "a wrong"} key`)
            const { error } = JSON.parse(text)
            assert.match(path.startsWith("/v1/") ? error.message : error, /key/)
          }
          assert.notStrictEqual((yield* call(method, path, secret)).status, 401, path)
        }
        for (const [path, rest] of inference) {
          const body = { model: "tiny-eos", stream: false, ...rest }
          for (const key of ["", wrong]) assert.strictEqual((yield* call("POST", path, key, body)).status, 401, path)
          assert.strictEqual((yield* call("POST", path, secret, body, "x-api-key")).status, 200, path)
        }
        const body = { model: "tiny-eos", messages, options, stream: false }
        assert.strictEqual((yield* call("POST", "/api/chat", revoked, { ...body, model: "tiny-loop" })).status, 403)
        for (const status of [200, 200, 429]) {
          const { headers, text } = yield* Effect.tap(call("POST", "/api/chat", revoked, body), (answer) =>
            Effect.sync(() => assert.strictEqual(answer.status, status)))
          if (status === 429) {
            assert.match(headers.get("retry-after") ?? "", /^\d+$/)
            assert.include(text, "2 requests a minute")
          }
        }
        const aliased = yield* call("POST", "/v1/chat/completions", secret, {
          model: "gpt-4o",
          messages,
          max_tokens: 2,
        })
        assert.strictEqual(aliased.status, 200)
        assert.strictEqual(aliased.headers.get("x-llamero-model"), "tiny-eos")
        const long = yield* call("POST", "/api/chat", secret, {
          ...body,
          messages: [{ role: "user", content: "a b ".repeat(4000) }],
        })
        assert.strictEqual(long.status, 400)
        assert.match(long.text, /too long: about \d+ tokens/)

        yield* Effect.promise(() =>
          writeFile(file, `{"keys": [{"id": "bad", "sha256": "${wrong}"}]}`)
        )
        yield* prints(router, /reload refused, nothing has changed: .*keys\[0\]\.sha256 must be 64 hex digits/)
        assert.strictEqual((yield* call("GET", "/api/tags", revoked)).status, 200)
        yield* write(lasting)
        yield* until("GET", "/api/tags", revoked, 401)
        assert.strictEqual((yield* call("GET", "/api/tags", secret)).status, 200)

        const { text: metrics } = yield* call("GET", "/metrics", secret)
        assert.match(metrics, /llamero_guard_verdicts_total\{[^}]*guard="api-key"[^}]*verdict="refuse"[^}]*\} [1-9]/)
        assert.match(metrics, /llamero_guard_verdicts_total\{[^}]*guard="rate-limit"[^}]*\} [1-9]/)
        yield* prints(router, /tenant"?: ?'?"?team/).pipe(Effect.ignore)
        const emitted = [router.printed(), ...shown].join("\n")
        assert.isAbove(router.printed().length, 1000)
        for (const word of [secret, revoked, wrong, sha256(secret), sha256(revoked), prompt]) {
          assert.notInclude(emitted, word)
        }
      })),
    60_000,
  )

  it.live(
    "the official clients get their own kind of error, on Node and on Deno",
    () =>
      Effect.scoped(Effect.gen(function* () {
        const { url: backend } = yield* SimulatedOllamaServer.make({ decodeRate: 1000 })
        const { file, write } = yield* keysFile
        const few = (id: string) => ({ id, sha256: sha256(`sk-${id}`), models: ["tiny-eos"], requestsPerMinute: 1 })
        yield* write({ id: "lasting", sha256: sha256(secret) }, few("node"), few("deno"))
        const router = yield* start([...runtimes.node, "src/command/serve/server.ts"], {
          LLAMERO_BACKENDS: backend,
          LLAMERO_PORT: "0",
          LLAMERO_KEYS_FILE: file,
        })
        const [, url = ""] = yield* prints(router, /istening on (http:\/\/[\d.]+:\d+)/)
        yield* prints(router, /backend is healthy/)
        for (const [runtime, prefix] of Object.entries(runtimes)) {
          const { printed, status } = yield* run([...prefix, "test/clients/keys.ts"], {
            LLAMERO_URL: url,
            LLAMERO_KEY: secret,
            LLAMERO_LIMITED_KEY: `sk-${runtime}`,
            LLAMERO_MODEL: "tiny-eos",
            LLAMERO_OTHER_MODEL: "tiny-loop",
          })
          assert.strictEqual(status, 0, printed)
        }
      })),
    60_000,
  )
})
