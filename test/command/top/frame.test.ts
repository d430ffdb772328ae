/** The frame of `llamero top`, a pure function of the state and of the size of the terminal. */
import { assert, describe, it } from "@effect/vitest"
import { CliOutput } from "effect/cli"
import type { State } from "../../../src/layers/routes/AdminApi.ts"
import { frame } from "../../../src/command/top/frame.ts"
import { ascii, spark, unicode } from "../../../src/command/top/glyphs.ts"
import { cut, pad, padLeft, render } from "../../../src/command/top/line.ts"
import type { View } from "../../../src/command/top/view.ts"
import * as Rates from "../../../src/command/state/rates.ts"
import { backend, device, resident, state, traffic } from "../../support/commandState.ts"

const gib = 2 ** 30

/** Ten seconds of two requests a second. */
const history = Array.from({ length: 10 }, (_, i) => i).reduce(
  (history, i) =>
    Rates.add(history, {
      at: i * 1000,
      traffic: traffic({
        requests: i * 2,
        answer_tokens: i * i * 10,
        queued_seconds: i * 0.02,
        first_bytes: i,
        first_byte_seconds: i * 0.24,
      }),
      routing: 0.0004 + i * 1e-5,
    }),
  Rates.empty,
)

const view = (state: State, fields: Partial<View> = {}): View => ({
  url: "http://127.0.0.1:11435",
  link: "live",
  state,
  history,
  now: new Date(2026, 0, 1, 14, 3, 27).getTime(),
  keys: "q quits",
  glyphs: unicode,
  ...fields,
})

const text = (view: View, columns: number, rows: number): ReadonlyArray<string> =>
  frame(view, columns, rows).map((line) => render(line, false))

const charged = (backend: string, model: string, bytes: number, state: "resident" | "loading" = "resident") => ({
  backend,
  model,
  bytes,
  state,
})

const few = state({
  router: { draining: false, requests: 4, leases: 3, prewarmed: true, events_lost: 0, simulated: false },
  backends: [
    backend("gpu-1", { streams: 3, models: [resident("llama3.1:8b"), resident("mistral:7b")] }),
    backend("gpu-2", { health: "unhealthy", reason: "connection refused", breaker: "open" }),
    backend("cpu", { member: "draining", models: [resident("nomic-embed-text:latest", { size: gib })] }),
  ],
  devices: [
    device("GPU-1", {
      backends: ["gpu-1"],
      total: 80 * gib,
      foreign: 4 * gib,
      reserve: 2 * gib,
      models: [charged("gpu-1", "llama3.1:8b", 20 * gib), charged("gpu-1", "mistral:7b", 14 * gib, "loading")],
    }),
    device("GPU-2", { backends: ["gpu-2"], total: 24 * gib }),
    device("GPU-3", { backends: ["gpu-2"], total: 24 * gib }),
  ],
  queues: [{
    model: "llama3.1:8b",
    depth: 12,
    bytes: 1000,
    oldest_seconds: 2.1,
    estimated_wait_seconds: 3,
    classes: { interactive: 1, default: 11, batch: 0 },
    tenants: [{ tenant: "team-a", depth: 9 }, { tenant: "", depth: 3 }],
  }],
  breakers: [{ backend: "gpu-2", model: null, state: "open", retry_seconds: 3 }],
  prewarm: [{ plan: "pinned", model: "qwen3:32b", backend: "gpu-1", state: "pending", reason: "no room", since: null }],
})

const none = state()

const many = state({
  backends: Array.from(
    { length: 200 },
    (_, i) =>
      backend(`node-${String(i).padStart(3, "0")}`, { health: i === 150 ? "unhealthy" : "healthy", reason: "refused" }),
  ),
  devices: Array.from({ length: 200 }, (_, i) =>
    device(`GPU-${i}`, {
      backends: [`node-${String(i).padStart(3, "0")}`],
      total: 80 * gib,
      models: [charged(`node-${String(i).padStart(3, "0")}`, "llama3.1:8b", 20 * gib)],
    })),
  queues: Array.from({ length: 50 }, (_, i) => ({ ...few.queues[0]!, model: `model-${i}`, depth: i })),
})

/** Names that others have chosen, and that could break the picture. */
const nasty = state({
  backends: [
    backend("模型服务器-一号-非常长的名字".repeat(3), { models: [resident("🦙".repeat(60))] }),
    backend("\x1b[2Jevil\r\n\x07", { health: "unhealthy", reason: "a\nb\x1b]0;x\x07" + "c".repeat(500) }),
    backend("", { streams: 123_456, streams_max: 1_000_000 }),
  ],
  devices: [
    device("GPU-1", { backends: [""], total: 0, models: [charged("", "e\u0301\u202e", 5)] }),
    device("GPU-2", { backends: [""], total: null, failure: "x\x1b[31m" }),
  ],
})

const sizes = [[80, 24], [40, 15], [200, 60], [120, 40], [60, 20], [20, 6], [8, 3], [1, 1], [300, 10]] as const
const states = { "3 backends": few, "0 backends": none, "200 backends": many, "nasty names": nasty }

describe("the frame of top", () => {
  it.each(
    Object.entries(states).flatMap(([name, state]) =>
      sizes.flatMap(([columns, rows]) =>
        [unicode, ascii].map((glyphs) => ({
          name,
          columns,
          rows,
          glyphs,
          state,
          set: glyphs === ascii ? "ASCII" : "blocks",
        }))
      )
    ),
  )("fits a terminal of $columns x $rows: $name, $set", ({ columns, glyphs, rows, state }) => {
    for (const link of ["live", "polling", "reconnecting"] as const) {
      const lines = text(view(state, { glyphs, link }), columns, rows)
      assert.isAtLeast(lines.length, 1)
      assert.isAtMost(lines.length, rows)
      for (const line of lines) {
        assert.isAtMost(CliOutput.displayWidth(line), columns, JSON.stringify(line))
        // deno-lint-ignore no-control-regex
        assert.notMatch(line, glyphs === ascii ? /[^\x20-\x7e]/ : /[\x00-\x1f\x7f-\x9f\u202e]/)
      }
    }
  })

  it("80 x 24: the router, sums, graphs, problems, backends with bars by model, queues and plans", () => {
    const lines = text(view(few), 80, 24)
    assert.match(lines[0]!, /^llamero http:\/\/127\.0\.0\.1:11435 +live {2}14:03:27 {2}q quits$/)
    assert.strictEqual(lines[1], "1 of 3 backends well · 1 breaker not closed · 4 requests · 12 queued · 3 streams")
    assert.match(lines[2]!, /^requests +2\/s +█+ +tokens +\d+\/s +[▁▂▃▄▅▆▇█]+$/)
    assert.match(
      lines[3]!,
      /^routing p95 +490 µs +[▁▂▃▄▅▆▇█]+ +dispatch +10(\.0)? ms +[▁▂▃▄▅▆▇█]+$/,
    )
    assert.match(lines[4]!, /^first byte +240 ms +[▁▂▃▄▅▆▇█]+ +failed +0\/s/)
    const all = lines.join("\n")
    assert.include(all, "! gpu-2 is unhealthy: connection refused")
    assert.include(all, "! the breaker of gpu-2 is open")
    assert.match(all, /^BACKEND +STATE +STREAMS +MEMORY +USED$/m)
    assert.match(all, /^gpu-1 +healthy +3\/8 █+▒+▚+╌*·+ +38\.0\/80\.0 GiB +llama3/m)
    assert.match(all, /^gpu-2 +unhealthy +0\/8 ·+ +0\.0\/24\.0 GiB\n +·+ +0\.0\/24\.0 GiB$/m)
    assert.match(all, /^cpu +drained +0\/8 nomic-embed-text:latest 1\.0 GiB$/m)
    assert.isBelow(all.indexOf("\ngpu-2 "), all.indexOf("\ngpu-1 "), "the one with a problem comes first")
    assert.match(all, /^QUEUES\nllama3\.1:8b {2}12 waiting {2}oldest 2\.10 s, expected wait 3\.00 s {2}team-a 9, \(/m)
    assert.match(all, /^PREWARM\nqwen3:32b on gpu-1 {2}pending {2}pinned$/m)
  })

  it("40 x 15: what matters most is there, and states are marks", () => {
    const all = text(view(few), 40, 15).join("\n")
    assert.match(all, /^gpu-2 +! /m)
    assert.match(all, /^cpu +- /m)
    assert.match(all, /^gpu-1 +3\/8 [█▒▚╌·]{8,}/m)
    assert.include(all, "12 waiting")
  })

  it("200 x 60: all graphs in one line, names of all models of a bar", () => {
    const lines = text(view(few), 200, 60)
    assert.match(lines[2]!, /^requests .* tokens .* routing p95 .* dispatch .* first byte .* failed +0\/s/)
    assert.include(lines.join("\n"), "llama3.1:8b 20.0 GiB  mistral:7b 14.0 GiB  other processes 4.0 GiB")
  })

  it("no backends: it says so", () => {
    const all = text(view(none), 80, 24).join("\n")
    assert.include(all, "There are no backends.")
    assert.include(all, "0 of 0 backends well · breakers closed · 0 requests · 0 queued · 0 streams")
  })

  it("200 backends: those with a problem first, as many as fit, and how many more there are", () => {
    const lines = text(view(many), 80, 24)
    assert.strictEqual(lines.length, 24)
    const rows = lines.filter((line) => /^node-\d+ /.test(line))
    assert.match(rows[0]!, /^node-150 +unhealthy/)
    assert.match(rows[1]!, /^node-000 +healthy +0\/8 █+·+ +20\.0\/80\.0 GiB/)
    assert.isAtLeast(rows.length, 5)
    assert.include(lines.join("\n"), `… ${200 - rows.length} more backends`)
    assert.match(lines.join("\n"), /model-49 +12|model-49 {2}49 waiting/)
    assert.include(lines.join("\n"), "… 47 more queues")
  })

  it("without an end of rows, everything is there", () => {
    const lines = text(view(many), 100, Infinity)
    assert.strictEqual(lines.filter((line) => /^node-\d+ /.test(line)).length, 200)
    assert.strictEqual(lines.filter((line) => /^model-\d+ /.test(line)).length, 50)
    assert.notInclude(lines.join("\n"), "more backends")
  })

  it("says that it has no connection, in the colour of a fault", () => {
    const [line] = frame(view(few, { link: "reconnecting" }), 80, 24)
    assert.include(render(line!, true), "\x1b[31mreconnecting\x1b[0m")
  })

  it("models have colours, the same ones in the bar and in the names", () => {
    const line = frame(view(few), 200, 60).map((line) => render(line, true)).find((line) => line.includes("gpu-1"))!
    // deno-lint-ignore no-control-regex
    const [, inBar] = /\x1b\[(\d+)m█+\x1b\[0m/.exec(line)!
    assert.include(line, `\x1b[${inBar}m  llama3.1:8b\x1b[0m`)
  })

  it("is a pure function", () => {
    assert.deepStrictEqual(frame(view(few), 80, 24), frame(view(few), 80, 24))
  })
})

describe("a graph", () => {
  it.each([
    [[0, 1, 2, 4], 4, "▁▃▅█"],
    [[0, 0], 4, "  ▁▁"],
    [[null, 1, null], 3, " █ "],
    [[], 3, "   "],
    [[1, 2, 3, 4, 4], 2, "██"],
    [[1], 0, ""],
  ])("%j in %d columns", (values, width, line) => assert.strictEqual(spark(values, width, unicode), line))

  it("in ASCII", () => assert.strictEqual(spark([0, 1, 2, 4], 4, ascii), "_,=#"))
})

describe("texts in columns", () => {
  it.each([
    ["abcdef", 6, "abcdef"],
    ["abcdef", 4, "abc…"],
    ["abc", 0, ""],
    ["模型服务器", 5, "模型…"],
    ["模型", 3, "模…"],
    ["e\u0301e\u0301e\u0301", 2, "e\u0301…"],
  ])("%s cut to %d", (text, width, shown) => assert.strictEqual(cut(text, width), shown))

  it("are filled up at either side", () => {
    assert.deepStrictEqual([pad("模", 4), padLeft("模", 4), pad("abcdef", 3, ">")], ["模  ", "  模", "ab>"])
  })
})
