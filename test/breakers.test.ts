/** What opens a breaker, and what does not: each row of the table in `docs/failures.md`, against the whole router. */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Result } from "effect"
import { TestClock } from "effect/testing"
import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import { Breaker } from "../src/services/Breaker.ts"
import { RouterEvents } from "../src/services/RouterEvents.ts"
import * as SimulatedFleet from "../src/simulated/SimulatedFleet.ts"
import { ask, idle, nothing, over, url } from "./support/routers.ts"
import { RecordingReply } from "./support/sinks.ts"

const { Fault } = SimulatedFleet

interface Row {
  readonly says: string
  readonly fault?: SimulatedFleet.Fault.Fault
  readonly path?: string
  readonly body?: object
  readonly server?: SimulatedFleet.ServerOptions
  /** Whether the client leaves after the first record. */
  readonly leaves?: boolean
}

const chat = { messages: [{ role: "user", content: "hi" }] }
const whole = { ...chat, stream: false }
const slow = { decodeRate: 5 }

const rows: ReadonlyArray<Row> = [
  { says: "refuses the connection", fault: Fault.refuse },
  { says: "resets the connection before it answers", fault: Fault.reset() },
  { says: "answers with bytes that are not HTTP", fault: Fault.garbage },
  { says: "resets the connection in the middle of a stream", fault: Fault.reset(2) },
  { says: "accepts a request and stays silent", fault: Fault.hang },
  { says: "is silent in the middle of a stream", fault: Fault.stall(2) },
  { says: "answers 500", fault: Fault.internal },
  { says: "answers 502, 504 or another 5xx, as a proxy does", fault: Fault.answer({ status: 504 }) },
  { says: "ends a stream with an error record", fault: Fault.crash(2) },
  {
    says: "ends a stream with an error record, on `/v1/responses`",
    path: "/v1/responses",
    body: { input: "hi", stream: true },
    fault: Fault.answer({
      contentType: "text/event-stream",
      body: `event: response.failed\ndata: {"type": "response.failed", "response": {"status": "failed"}}\n\n`,
    }),
  },
  { says: "answers 503 or 429: it is busy", fault: Fault.busy },
  { says: "ends a stream without its last record", fault: Fault.truncate(2) },
  {
    says: "ends a stream without its last record, on `/v1/chat/completions`",
    path: "/v1/chat/completions",
    body: { ...chat, stream: true },
    fault: Fault.crash(2),
  },
  { says: "ends a stream before its first record", fault: Fault.truncate(0) },
  { says: 'answers in one piece, and says `"done":false`', body: whole, fault: Fault.truncate(2) },
  {
    says: 'answers in one piece, and says `"done":false`, on `/api/v1/generate`',
    path: "/api/v1/generate",
    body: { prompt: "hi" },
    fault: Fault.truncate(2),
  },
  {
    says: "answers 500 because the model repeats itself (Ollama from 0.34.1 on)",
    body: whole,
    fault: Fault.truncate(2, Fault.repeatText),
  },
  { says: "ends a stream with that error", fault: Fault.truncate(2, Fault.repeatText) },
  { says: "answers 500 to a wrong option or format", body: { ...chat, format: "xml" } },
  { says: "answers 400", fault: Fault.failure(400, "bad") },
  { says: "answers as Ollama does", body: chat },
  {
    says: "spells its streams in another way",
    server: { spelling: { blanks: true, lineEnd: "\r\n", bareFields: true, comments: true } },
  },
  { says: "compresses its answers", server: { encoding: "gzip" } },
  {
    says: "compresses an answer that the router reads",
    path: "/api/v1/generate",
    body: { prompt: "hi", stream: true },
    server: { encoding: "gzip" },
  },
  { says: "generates, and the client leaves", leaves: true, server: slow },
]

/** A breaker opens after 5 failures. A backend that refuses gets no request until it has answered a probe. */
const requests = 12

/** Asks once, and gives the label of the outcome. */
const once = ({ body = chat, leaves = false, path = "/api/chat" }: Row) =>
  Effect.gen(function* () {
    const reply = new RecordingReply()
    const asked = Effect.result(ask(path, { model: "tiny-eos", ...body }, reply))
    const fiber = yield* Effect.forkChild(asked, { startImmediately: true })
    for (let i = 0; i < 100 && fiber.pollUnsafe() === undefined; i++) {
      if (leaves && reply.bytes > 0) yield* Fiber.interrupt(fiber)
      else yield* TestClock.adjust(i < 8 ? "250 millis" : "5 seconds")
      // What is decoded comes from another thread.
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
    }
    if (leaves) return
    assert.isDefined(fiber.pollUnsafe(), "it has ended")
    const ended = yield* Fiber.join(fiber)
    assert.isTrue(Result.isSuccess(ended), "it was routed")
  })

const play = (row: Row) =>
  Effect.gen(function* () {
    const opened = new Set<string>()
    const breaker = yield* Breaker
    breaker.onTransition(({ key, to }) =>
      void (to === "open" && opened.add(key.model === undefined ? "backend" : "model"))
    )
    yield* TestClock.adjust("1 second")
    const simulated = (yield* SimulatedFleet.SimulatedFleet).get(url("a"))
    if (row.fault !== undefined) {
      simulated.script(row.fault, { path: row.path === "/api/v1/generate" ? "/api/generate" : row.path ?? "/api/chat" })
    }
    for (let i = 0; i < requests && opened.size === 0; i++) {
      yield* once(row)
      yield* TestClock.adjust("5 seconds")
    }
    const causes = (yield* RouterEvents).recent(1000).flatMap((event) =>
      event._tag === "AttemptFailed"
        ? [event.cause]
        : event._tag === "RequestSettled"
        ? [event.settled.outcome?.cause]
        : []
    )
    assert.deepStrictEqual(yield* idle, nothing)
    const opens = opened.size === 0 ? "-" : Array.from(opened, (which) => `of the ${which}`).join(" and ")
    // A request that came while the breaker was open, or while the backend was unhealthy, has no outcome.
    const recorded = new Set(causes.filter((cause) => cause !== undefined))
    assert.strictEqual(recorded.size, row.leaves === true ? 0 : 1, row.says)
    return `| ${row.says} | \`${Array.from(recorded)[0] ?? "client-gone"}\` | ${opens} |`
  }).pipe(Effect.provide(over({ a: row.server ?? {} })))

const docs = readFileSync(resolve(import.meta.dirname!, "../docs/failures.md"), "utf8")

it.effect("docs/failures.md says what opens a breaker", () =>
  Effect.gen(function* () {
    const played: Array<string> = []
    for (const row of rows) played.push(yield* play(row))
    const table = ["| a backend | recorded | opens the breaker |", "| --- | --- | --- |", ...played].join("\n")
    assert.include(docs, table, `docs/failures.md must have:\n${table}`)
  }), 120_000)
