/** Scorers, sessions and decisions through the settings of the reference server, over real sockets. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as SimulatedOllamaServer from "../../src/simulated/SimulatedOllamaServer.ts"
import { prints, run, runtimes, start } from "../support/processes.ts"

const fleetFile = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "llamero-placing-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true })),
  )
  const backends = yield* Effect.forEach(
    ["near", "far"],
    (id) =>
      Effect.map(SimulatedOllamaServer.make({ decodeRate: 1000 }), ({ url }) => ({
        id,
        url,
        labels: { zone: id === "near" ? "here" : "there" },
        weight: id === "near" ? 1 : 3,
      })),
  )
  // In memory on both: a request goes to a backend that has the model in memory rather than wait for a load.
  const load = JSON.stringify({ model: "tiny-eos", keep_alive: -1 })
  yield* Effect.forEach(
    backends,
    ({ url }) =>
      Effect.promise(() =>
        fetch(`${url}/api/generate`, { method: "POST", body: load }).then((answer) => answer.text())
      ),
  )
  const file = join(folder, "fleet.json")
  writeFileSync(file, JSON.stringify({ backends }))
  return file
})

const router = (settings: Readonly<Record<string, string>>) =>
  Effect.gen(function* () {
    const running = yield* start([...runtimes.node, "src/command/serve/server.ts"], {
      LLAMERO_FLEET_FILE: yield* fleetFile,
      LLAMERO_HEALTH_INTERVAL: "200ms",
      LLAMERO_PORT: "0",
      LLAMERO_ADMIN_TOKEN: "secret",
      ...settings,
    })
    const [, url = ""] = yield* prints(running, /istening on (http:\/\/[\d.]+:\d+)/)
    for (const id of ["near", "far"]) {
      yield* prints(running, new RegExp(`backend is healthy[^]*${id}|${id}[^]*backend is healthy`))
    }
    return url
  })

const chat = (url: string, headers: Readonly<Record<string, string>>) =>
  Effect.promise(async () => {
    const body = { model: "tiny-eos", stream: false, messages: [{ role: "user", content: "hi" }] }
    const response = await fetch(`${url}/api/chat`, { method: "POST", body: JSON.stringify(body), headers })
    await response.text()
    assert.strictEqual(response.status, 200)
  })

const read = (url: string, query: string, authorization: string) =>
  Effect.promise(async () => {
    const response = await fetch(`${url}/admin/decisions${query}`, { headers: { authorization } })
    return { status: response.status, text: await response.text() }
  })

interface Shown {
  readonly id: string
  readonly backend: string
  readonly status: number
}

/** The remembered requests, when the one with this id is among them: observers hear of a request after its answer. */
const decisions = (url: string, last: string) =>
  Effect.gen(function* () {
    while (true) {
      const { text } = yield* read(url, "", "Bearer secret")
      const shown: ReadonlyArray<Shown> = JSON.parse(text).decisions
      if (shown.some(({ id }) => id === last)) return shown
      yield* Effect.sleep("50 millis")
    }
  }).pipe(Effect.timeout("20 seconds"))

describe("placing by settings", () => {
  it.live(
    "prefers the router's own zone, and shows where each request went",
    () =>
      Effect.scoped(Effect.gen(function* () {
        const url = yield* router({ LLAMERO_SCORERS: "zone=5,weight=1", LLAMERO_ZONE: "here", LLAMERO_DECISIONS: "3" })
        for (const id of ["1", "2", "3", "4"]) yield* chat(url, { "x-request-id": id })
        const shown = yield* decisions(url, "4")
        assert.deepStrictEqual(shown.map(({ backend, id, status }) => ({ backend, id, status })), [
          { backend: "near", id: "4", status: 200 },
          { backend: "near", id: "3", status: 200 },
          { backend: "near", id: "2", status: 200 },
        ])
        assert.strictEqual((yield* read(url, "?id=1", "Bearer secret")).status, 404)
        assert.strictEqual((yield* read(url, "", "Bearer wrong")).status, 401)
      })),
    60_000,
  )

  it.live(
    "keeps each session on one backend, by the header that is set",
    () =>
      Effect.scoped(Effect.gen(function* () {
        const url = yield* router({
          LLAMERO_SCORERS: "session-affinity=5,least-busy=1,peak-ewma=1",
          LLAMERO_SESSION_HEADER: "X-Conversation",
          LLAMERO_DECISIONS: "100",
        })
        for (let i = 0; i < 60; i++) {
          yield* chat(url, { "x-conversation": `session ${i % 20}`, "x-request-id": `${i}` })
        }
        const homes = new Map<number, Set<string>>()
        for (const { backend, id } of yield* decisions(url, "59")) {
          const session = Number(id) % 20
          homes.set(session, (homes.get(session) ?? new Set()).add(backend))
        }
        assert.strictEqual(homes.size, 20)
        for (const [session, backends] of homes) assert.strictEqual(backends.size, 1, `session ${session}`)
        assert.strictEqual(new Set(Array.from(homes.values(), (backends) => [...backends][0])).size, 2)
      })),
    60_000,
  )

  it.live(
    "does not start with settings that do not go together, and says which and why",
    () =>
      Effect.gen(function* () {
        const { printed, status } = yield* run([...runtimes.node, "src/command/serve/server.ts"], {
          LLAMERO_SCORERS: "zone=1",
          LLAMERO_PORT: "0",
        })
        assert.strictEqual(status, 1)
        assert.match(printed, /LLAMERO_ZONE="": wants the router's zone/)
      }),
    30_000,
  )
})
