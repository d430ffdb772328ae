/** Each event is one line, for people and for programs, whatever a client put into it. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Logger } from "effect"
import * as LogLines from "../../../src/layers/server/LogLines.ts"
import * as LogControl from "../../../src/services/LogControl.ts"
import * as AccessLogObserver from "../../../src/plugins/observers/AccessLogObserver.ts"
import type { RequestSettled } from "../../../src/services/RouterEvents.ts"

/** What a logger makes of a program's events. */
const written = (logger: Logger.Logger<unknown, string>, program: Effect.Effect<unknown>) =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const keeping = Logger.map(logger, (line) => {
      lines.push(line)
    })
    yield* Effect.provide(program, Logger.layer([keeping]))
    return lines
  })

const settled = (model: string): RequestSettled => ({
  _tag: "RequestSettled",
  at: 0,
  id: "r1",
  route: "/api/chat",
  kind: "chat",
  model,
  known: true,
  tenant: "default",
  settled: {
    result: "answered",
    status: 200,
    refusal: undefined,
    outcome: undefined,
    backend: "a",
    attempts: 1,
    queuedMillis: 3,
  },
  totalMillis: 5,
  bytesIn: 10,
  bytesOut: 20,
})
const request = (model: string) => Effect.suspend(() => AccessLogObserver.make().observe(settled(model)) ?? Effect.void)

const fields = "id=r1 route=/api/chat model=llama3.1:8b tenant=default status=200 result=answered backend=a " +
  "attempts=1 queued_ms=3 total_ms=5 bytes_in=10 bytes_out=20"

describe("LogLines", () => {
  it.effect("pretty: a request is one line", () =>
    Effect.gen(function* () {
      const [line = "", ...others] = yield* written(LogLines.pretty(), request("llama3.1:8b"))
      assert.deepStrictEqual(others, [])
      assert.match(line, /^\d\d:\d\d:\d\d\.\d{3} INFO {2}request /)
      assert.strictEqual(line.slice("00:00:00.000 INFO  request ".length), fields)
    }))

  it.effect("pretty: colours only where they are asked for", () =>
    Effect.gen(function* () {
      const [plain = ""] = yield* written(LogLines.pretty(), request("m"))
      const [coloured = ""] = yield* written(LogLines.pretty({ colours: true }), request("m"))
      assert.notInclude(plain, "\x1b")
      assert.include(coloured, "\x1b[32mINFO ")
    }))

  it.effect("json: a request is one object, with its fields beside the message", () =>
    Effect.gen(function* () {
      const [line = "", ...others] = yield* written(LogLines.json, request("llama3.1:8b"))
      assert.deepStrictEqual(others, [])
      const { time, ...rest } = JSON.parse(line)
      assert.strictEqual(new Date(time).toISOString(), time)
      assert.deepStrictEqual(rest, {
        level: "info",
        message: "request",
        id: "r1",
        route: "/api/chat",
        model: "llama3.1:8b",
        tenant: "default",
        status: 200,
        result: "answered",
        backend: "a",
        attempts: 1,
        queued_ms: 3,
        total_ms: 5,
        bytes_in: 10,
        bytes_out: 20,
      })
    }))

  for (
    const model of [
      "a\nb",
      "a\r\n12:00:00.000 ERROR forged",
      "\x1b[31mred",
      "\x9b31mred",
      "a\u2028b",
      `"quoted" =x`,
      "",
    ]
  ) {
    it.effect(`a model called ${JSON.stringify(model)} neither ends the line nor colours it`, () =>
      Effect.gen(function* () {
        for (const logger of [LogLines.pretty(), LogLines.json]) {
          const [line = "", ...others] = yield* written(logger, request(model))
          assert.deepStrictEqual(others, [])
          // deno-lint-ignore no-control-regex
          assert.notMatch(line, /[\x00-\x1f\u2028\u2029]/)
        }
        const [pretty = ""] = yield* written(LogLines.pretty(), request(model))
        assert.notMatch(pretty, /[\x7f-\x9f]/)
        assert.include(pretty, " tenant=default ")
      }))
  }

  it.effect("a cause is a field of JSON, and follows the pretty line", () =>
    Effect.gen(function* () {
      const failing = Effect.logError("it failed", Cause.die(new Error("a reason")))
      const [json = ""] = yield* written(LogLines.json, failing)
      assert.match(JSON.parse(json).cause, /a reason/)
      assert.notInclude(json, "\n")
      const [pretty = ""] = yield* written(LogLines.pretty(), failing)
      assert.match(pretty, /ERROR it failed\n.*a reason/)
    }))

  it.effect("an annotation cannot take the place of the time, the level or the message", () =>
    Effect.gen(function* () {
      const event = Effect.annotateLogs(Effect.logInfo("hello"), { level: "none", message: "bye", other: 1 })
      const [line = ""] = yield* written(LogLines.json, event)
      assert.deepInclude(JSON.parse(line), { level: "info", message: "hello", other: 1 })
    }))

  it("the format is pretty on a terminal and JSON elsewhere, unless it is named", () => {
    assert.deepStrictEqual([LogLines.formatOf(undefined, true), LogLines.formatOf("", false)], ["pretty", "json"])
    assert.deepStrictEqual([LogLines.formatOf("JSON", true), LogLines.formatOf(" pretty ", false)], ["json", "pretty"])
  })
})

describe("layerControlled", () => {
  it.effect("writes what the level of the moment allows, with the loggers that there are", () => {
    const control = LogControl.make({ level: "Info" })
    const written: Array<string> = []
    const logger = Logger.make(({ message }) => void written.push(String(message)))
    const all = Effect.gen(function* () {
      written.length = 0
      yield* Effect.logDebug("debug")
      yield* Effect.logInfo("info")
      yield* Effect.logWarning("warn")
      return written.join()
    })
    return Effect.gen(function* () {
      assert.strictEqual(yield* all, "info,warn")
      control.setLevel("Debug")
      assert.strictEqual(yield* all, "debug,info,warn")
      control.setLevel("Warn")
      assert.strictEqual(yield* all, "warn")
      control.setLevel("None")
      assert.strictEqual(yield* all, "")
      control.setLevel("All")
      assert.strictEqual(yield* all, "debug,info,warn")
    }).pipe(Effect.provide(LogLines.layerControlled(control)), Effect.provide(Logger.layer([logger])))
  })
})
