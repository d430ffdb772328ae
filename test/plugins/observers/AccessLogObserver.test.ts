import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, References } from "effect"
import * as AccessLogObserver from "../../../src/plugins/observers/AccessLogObserver.ts"
import * as LogControl from "../../../src/services/LogControl.ts"
import type { Observer } from "../../../src/services/Plugin.ts"
import { refuse } from "../../../src/services/Refusal.ts"
import type { RequestSettled } from "../../../src/services/RouterEvents.ts"

const event = (status: number, model = "m:1b"): RequestSettled => ({
  _tag: "RequestSettled",
  at: 0,
  id: "r1",
  route: "/api/chat",
  kind: "chat",
  model,
  known: true,
  tenant: "default",
  settled: {
    result: status === 200 ? "answered" : "refused",
    status,
    refusal: status === 200 ? undefined : refuse("QueueFull", "full"),
    outcome: undefined,
    backend: undefined,
    attempts: 0,
    queuedMillis: 3,
  },
  totalMillis: 5,
  bytesIn: 10,
  bytesOut: 20,
})

/** Level and annotations of each line that an observer writes. */
const lines = (observer: Observer, ...events: ReadonlyArray<RequestSettled>) =>
  Effect.gen(function* () {
    const written: Array<readonly [string, Readonly<Record<string, unknown>>]> = []
    const logger = Logger.make(({ fiber, logLevel }) => {
      written.push([logLevel, fiber.getRef(References.CurrentLogAnnotations)])
    })
    yield* Effect.forEach(events, (each) => observer.observe(each) ?? Effect.void).pipe(
      Effect.provide(Logger.layer([logger])),
    )
    return written
  })

describe("AccessLogObserver", () => {
  it.effect("writes a line for each request, a warning for a failed one", () =>
    Effect.gen(function* () {
      const [answered, shed] = yield* lines(AccessLogObserver.make(), event(200), event(503))
      assert.strictEqual(answered?.[0], "Info")
      assert.deepInclude(answered?.[1], { id: "r1", route: "/api/chat", status: 200, total_ms: 5, bytes_out: 20 })
      assert.strictEqual(shed?.[0], "Warn")
      assert.deepInclude(shed?.[1], { status: 503, refusal: "QueueFull" })
    }))

  it.effect("leaves out requests with a lower status, and shortens long names of models", () =>
    Effect.gen(function* () {
      const written = yield* lines(AccessLogObserver.make({ statusMin: 500 }), event(200), event(503, "x".repeat(9999)))
      assert.deepStrictEqual(written.map(([level, { model }]) => [level, model]), [["Warn", "x".repeat(200)]])
    }))

  it.effect("logs a share of the requests without an error, and always those with one", () =>
    Effect.gen(function* () {
      const control = LogControl.make({ level: "Info", sample: 0.25 })
      const observer = AccessLogObserver.make({ control })
      const count = (status: number, times: number) =>
        Effect.map(lines(observer, ...Array.from({ length: times }, () => event(status))), (all) => all.length)
      assert.strictEqual(yield* count(200, 1), 1, "the first one")
      assert.strictEqual(yield* count(200, 400), 100)
      for (const status of [404, 429, 499, 500, 503]) assert.strictEqual(yield* count(status, 10), 10, `${status}`)
      control.setSample(0)
      assert.deepStrictEqual([yield* count(200, 10), yield* count(404, 10), yield* count(503, 10)], [0, 10, 10])
      control.setSample(1)
      assert.strictEqual(yield* count(200, 10), 10)
    }))

  it.effect("at a level above Info logs only failures, from the moment it is changed", () =>
    Effect.gen(function* () {
      const control = LogControl.make({ level: "Warn" })
      const observer = AccessLogObserver.make({ control })
      const statuses = Effect.map(
        lines(observer, event(200), event(404), event(503)),
        (all) => all.map(([, { status }]) => status),
      )
      assert.deepStrictEqual(yield* statuses, [503])
      control.setLevel("Debug")
      assert.deepStrictEqual(yield* statuses, [200, 404, 503])
      control.setLevel("None")
      assert.deepStrictEqual(yield* statuses, [503])
    }))

  it("takes no share that is none", () => {
    for (const sample of [-0.1, 1.1, NaN]) {
      assert.throws(() => LogControl.make({ level: "Info", sample }), RangeError)
      assert.throws(() => LogControl.make({ level: "Info" }).setSample(sample), RangeError)
    }
  })
})
