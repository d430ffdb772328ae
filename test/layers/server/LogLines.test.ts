/** Each event is one line, for people and for programs, whatever a client put into it. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Logger } from "effect"
import * as LogLines from "../../../src/layers/server/LogLines.ts"
import * as LogControl from "../../../src/services/LogControl.ts"
import * as AccessLogObserver from "../../../src/plugins/observers/AccessLogObserver.ts"
import { type Outcome, success } from "../../../src/services/Outcome.ts"
import { refuse } from "../../../src/services/Refusal.ts"
import type { RequestSettled } from "../../../src/services/RouterEvents.ts"
import type { Trace } from "../../../src/services/Trace.ts"

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

describe("lines past the loggers", () => {
  const of = (change: Partial<RequestSettled["settled"]>, more: Partial<RequestSettled> = {}): RequestSettled => {
    const event = settled("llama3.1:8b")
    return { ...event, at: 1_780_000_000_123, ...more, settled: { ...event.settled, ...change } }
  }
  const answered: Outcome = { ...success, firstByteMillis: 0, totalMillis: 12 }
  const trace = (sampled: boolean) => ({ sampled, traceId: "0af7651916cd43dd8448eb211c80319c" }) as Trace
  const refusal = refuse("QueueFull", "full")
  const events: Readonly<Record<string, RequestSettled>> = {
    "an answer": of({ outcome: answered }),
    "an answer without a first byte": of({ outcome: success }),
    "a refusal before an attempt": of({ backend: undefined, attempts: 0, refusal, result: "refused", status: 503 }),
    "an error of the client": of({ backend: undefined, refusal: refuse("BadRequest", "no"), status: 400 }),
    "a client that left": of({ result: "canceled", status: 499 }),
    "a trace that was chosen": of({}, { trace: trace(true) }),
    "a trace that was not chosen": of({}, { trace: trace(false) }),
    "fractions and zeros": of({ queuedMillis: 0.25 }, { totalMillis: 0, bytesIn: 0, bytesOut: 1e9 }),
    "a long model": of({}, { model: "x".repeat(9999) }),
    "text that would end the line": of({}, { id: "a\nb", model: "\x1b[31m\u2028", tenant: `"quoted"\\\x7f` }),
    "text that is no ASCII": of({ backend: "gpü" }, { id: "\ud800", model: "模型", tenant: "" }),
  }
  for (const [name, event] of Object.entries(events)) {
    it.effect(`are those of the JSON logger: ${name}`, () =>
      Effect.gen(function* () {
        const direct: Array<string> = []
        assert.isUndefined(AccessLogObserver.make({ lines: (line) => direct.push(line) }).observe(event))
        const logged = Effect.suspend(() => AccessLogObserver.make().observe(event) ?? Effect.void)
        const [line = ""] = yield* written(LogLines.json, logged)
        const { time: _, ...wanted } = JSON.parse(line)
        const { time, ...found } = JSON.parse(direct[0]!)
        assert.deepStrictEqual(found, wanted)
        assert.strictEqual(time, new Date(event.at).toISOString())
        const untimed = (text: string) => text.replace(/"time":"[^"]*"/, "")
        assert.deepStrictEqual(direct.map(untimed), [untimed(line)])
      }))
  }

  it("do not mix up what they remember of the line before", () => {
    const lines: Array<string> = []
    const { observe } = AccessLogObserver.make({ lines: (line) => lines.push(line) })
    for (const model of ["a", "b", "b", "a"]) observe(of({ backend: `on-${model}` }, { model, tenant: `of-${model}` }))
    assert.deepStrictEqual(
      lines.map((line) => JSON.parse(line)).map(({ backend, model, tenant }) => [model, backend, tenant]),
      ["a", "b", "b", "a"].map((model) => [model, `on-${model}`, `of-${model}`]),
    )
  })

  it("obey the level and the sampling of the moment", () => {
    const control = LogControl.make({ level: "Info" })
    const lines: Array<number> = []
    const { observe } = AccessLogObserver.make({ control, lines: (line) => lines.push(JSON.parse(line).status) })
    const all = () => {
      lines.length = 0
      for (const status of [200, 404, 503]) observe(of({ status }))
      return lines.join()
    }
    assert.strictEqual(all(), "200,404,503")
    control.setLevel("Warn")
    assert.strictEqual(all(), "503")
    control.setLevel("Error")
    assert.strictEqual(all(), "")
    control.setLevel("None")
    assert.strictEqual(all(), "")
    control.setLevel("Trace")
    control.setSample(0)
    assert.strictEqual(all(), "404,503")
  })
})

describe("lines that are written together", () => {
  const made = () => {
    const written: Array<string> = []
    const asked: Array<() => void> = []
    const lines = LogLines.together({
      write: (text) => void written.push(text),
      later: (run, millis) => {
        assert.strictEqual(millis, 100)
        asked.push(run)
      },
    })
    return { asked, lines, written }
  }

  it("wait for each other, and none waits longer than the first", () => {
    const { asked, lines, written } = made()
    for (const line of ["a", "b", "c"]) lines.write(line)
    assert.deepStrictEqual([written, asked.length], [[], 1])
    asked[0]!()
    assert.deepStrictEqual(written, ["a\nb\nc"])
    lines.write("d")
    assert.lengthOf(asked, 2)
    asked[1]!()
    assert.deepStrictEqual(written, ["a\nb\nc", "d"])
  })

  it("are written at once when there are 64 KiB of them, or when somebody asks", () => {
    const { asked, lines, written } = made()
    const line = "x".repeat(1000)
    for (let i = 0; i < 66; i++) lines.write(line)
    assert.deepStrictEqual(written.map(({ length }) => length), [66 * 1001 - 1])
    lines.flush()
    assert.lengthOf(written, 1, "nothing is left")
    lines.write("y")
    lines.flush()
    lines.flush()
    assert.deepStrictEqual(written.slice(1), ["y"])
    for (const run of asked) run()
    assert.lengthOf(written, 2)
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
