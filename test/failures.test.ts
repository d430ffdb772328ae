/** Backends killed at every moment of an answer, in every dialect: what clients see is what `docs/failures.md` says. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import * as StaticFleet from "../src/layers/fleet/StaticFleet.ts"
import * as Settings from "../src/layers/Settings.ts"
import * as Standard from "../src/layers/Standard.ts"
import { RouterEvents } from "../src/services/RouterEvents.ts"
import * as SimulatedFleet from "../src/simulated/SimulatedFleet.ts"
import * as SimulatedOllamaApi from "../src/simulated/SimulatedOllamaApi.ts"
import { fetching, killingOnce, type Moment, passing } from "./support/kill.ts"
import { idle, nothing, url } from "./support/routers.ts"

const messages = [{ role: "user", content: "hi" }]
const dialects: ReadonlyArray<readonly [name: string, path: string, body: object]> = [
  ["native generate", "/api/generate", { prompt: "hi" }],
  ["native chat", "/api/chat", { messages }],
  ["OpenAI chat", "/v1/chat/completions", { messages }],
  ["OpenAI completions", "/v1/completions", { prompt: "hi" }],
  ["OpenAI responses", "/v1/responses", { input: "hi" }],
  ["Anthropic messages", "/v1/messages", { messages, max_tokens: 100 }],
  ["generate-v1", "/api/v1/generate", { prompt: "hi" }],
]

interface Case {
  readonly says: string
  readonly moment: Moment
  readonly stream: boolean
  /** Longer than a heartbeat's interval, or not. */
  readonly load: "1 second" | "20 seconds"
}

const cases: ReadonlyArray<Case> = [
  { says: "at byte 0", moment: "byte 0", stream: true, load: "1 second" },
  { says: "at byte 0, heartbeats sent", moment: "byte 0", stream: true, load: "20 seconds" },
  { says: "after its headers", moment: "after headers", stream: true, load: "1 second" },
  { says: "mid-stream", moment: "mid-answer", stream: true, load: "1 second" },
  { says: "before its last record", moment: "before terminator", stream: true, load: "1 second" },
  {
    says: "not at all, but its last record never comes",
    moment: "end without terminator",
    stream: true,
    load: "1 second",
  },
  { says: "at byte 0, not streaming", moment: "byte 0", stream: false, load: "1 second" },
  { says: "after its headers, not streaming", moment: "after headers", stream: false, load: "1 second" },
  { says: "mid-answer, not streaming", moment: "mid-answer", stream: false, load: "1 second" },
]

interface Seen {
  readonly sees: string
  readonly attempts: number
  readonly recorded: string
  /** The error as it came, body or record. */
  readonly error: string | undefined
}

const isWhole = (body: string): boolean =>
  /"done":true|data: \[DONE\]|"type":"message_stop"|"type":"response\.completed"/.test(body)

/** The last record, `event:` line included. */
const errorRecord = (body: string): string | undefined => {
  const records = body.trimEnd().split(body.includes("data: ") ? "\n\n" : "\n")
  const last = records.at(-1)!
  return /^(event: error\n)?(data: )?\{("error"|"type":"error")/.test(last) ? last : undefined
}

const judged = (stream: boolean, status: number, retry: string | null, body: string, broken: boolean) => {
  const after = retry === null ? "" : `, \`Retry-After: ${retry}\``
  if (status !== 200) return [`${status} with an error body${after}`, body.trimEnd()] as const
  if (broken) return ["200, then the connection breaks", undefined] as const
  if (!stream) return ["200, the whole answer", undefined] as const
  const record = errorRecord(body)
  if (record !== undefined) return ["200, what had come, then an error record", record] as const
  return [isWhole(body) ? "200, the whole answer" : "200, CUT SHORT WITHOUT A WORD", undefined] as const
}

const play = ({ load, moment, stream }: Case, path: string, body: object, ids: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const fetch = yield* fetching
    yield* TestClock.adjust("1 second")
    const sent = {
      method: "POST",
      headers: { "X-Request-Id": "r1" },
      body: JSON.stringify({ model: "tiny-eos", ...body, stream }),
    }
    const response = yield* passing(fetch(`http://llamero.local${path}`, sent))
    let text = ""
    let broken = false
    const decoder = new TextDecoder()
    const read = async () => {
      for await (const chunk of response.body!) text += decoder.decode(chunk, { stream: true })
    }
    yield* passing(read().catch(() => void (broken = true)))
    const events = (yield* RouterEvents).recent(100)
    const settled = events.find((event) => event._tag === "RequestSettled")!.settled
    const failed = events.flatMap((event) => event._tag === "AttemptFailed" ? [event.cause] : [])
    assert.deepStrictEqual(yield* idle, nothing)
    const [sees, error] = judged(stream, response.status, response.headers.get("retry-after"), text, broken)
    if (load === "20 seconds") assert.match(text, /^(: keep-alive|\{[^\n]*"done":false\})/, "a heartbeat")
    const seen: Seen = {
      sees,
      attempts: settled.attempts,
      recorded: `\`${failed[0] ?? settled.outcome!.cause}\``,
      error,
    }
    return seen
  }).pipe(
    Effect.provide(
      Standard.layer().pipe(
        Layer.provideMerge(Layer.merge(killingOnce(moment), SimulatedOllamaApi.layer)),
        Layer.provideMerge(StaticFleet.layer(ids.map((id) => ({ url: url(id), id })))),
        Layer.provideMerge(SimulatedFleet.layer(Object.fromEntries(ids.map((id) => [url(id), { loadTime: load }])))),
      ),
    ),
  )

const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const [head, ...rest] = rows
  return [head!, head!.map(() => "---"), ...rest].map((row) => `| ${row.join(" | ")} |`).join("\n")
}

interface Words {
  readonly name: string
  readonly body: string
  readonly record: string
}

/** Error bodies and records; dialects with the same words share a block. */
const inDialects = (all: ReadonlyArray<Words>): string => {
  const alike = Map.groupBy(all, ({ body, record }) => `${body}\n\n${record}`)
  return Array.from(
    alike,
    ([words, dialects]) => `\`\`\`text\n${dialects.map(({ name }) => name).join(", ")}\n\n${words}\n\`\`\``,
  ).join("\n\n")
}

const docs = readFileSync(resolve(import.meta.dirname!, "../docs/failures.md"), "utf8")

it("docs/failures.md names settings that exist, with their defaults", () => {
  const known = new Map(Object.values(Settings.variables).map(({ name, shown }) => [name, shown]))
  for (const [name] of docs.matchAll(/LLAMERO_\w+/g)) assert.isTrue(known.has(name), name)
  for (const [, limit, name] of docs.matchAll(/^\| [^|]+ \| ([^|]+) \| `(LLAMERO_\w+)` \|/gm)) {
    assert.strictEqual(limit!.replace(" s", "s").replace(" min", "m"), known.get(name!)!, name)
  }
})

describe("a backend that is killed", () => {
  it.effect("leaves its client with what docs/failures.md says, in every dialect", () =>
    Effect.gen(function* () {
      const outcomes: Array<ReadonlyArray<string>> = [[
        "killed",
        "another backend",
        "the client sees",
        "attempts",
        "recorded",
      ]]
      const every: Array<ReadonlyArray<string>> = [["killed", "another backend", "dialect", "the client sees"]]
      const bodies = new Map<string, string>()
      const records = new Map<string, string>()
      for (const one of cases) {
        for (const ids of [["a", "b"], ["a"]]) {
          const other = ids.length > 1 ? "yes" : "no"
          const rows = new Map<string, Array<string>>()
          for (const [name, path, body] of dialects) {
            const { attempts, error, recorded, sees } = yield* play(one, path, body, ids)
            every.push([one.says, other, name, sees])
            const row = [other, sees, String(attempts), recorded].join("\u0000")
            rows.set(row, [...rows.get(row) ?? [], name])
            if (error === undefined) continue
            if (sees.startsWith("200")) records.set(name, error)
            else if (!bodies.has(name)) bodies.set(name, error)
          }
          // In streams all dialects end in the same way, in their own words.
          if (one.stream) assert.strictEqual(rows.size, 1, [...rows].join("\n"))
          for (const [row, names] of rows) {
            const says = names.length < 3 ? `${one.says}, ${names.join()}` : one.says
            outcomes.push([says, ...row.split("\u0000")])
          }
        }
      }
      console.log(table(every))
      const words = inDialects(dialects.map(([name, path]) => ({
        name: `${name} (${path})`,
        body: bodies.get(name)!,
        record: records.get(name)!,
      })))
      for (const wanted of [table(outcomes), words]) {
        assert.include(docs, wanted, `docs/failures.md must have:\n${wanted}`)
      }
    }), 120_000)
})
