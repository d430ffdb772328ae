import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, References } from "effect"
import * as AccessLogObserver from "../../../src/plugins/observers/AccessLogObserver.ts"
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
})
