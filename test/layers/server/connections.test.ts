import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Metric, Scope } from "effect"
import { until } from "../../../src/testing/sinks.ts"
import * as Raw from "./raw.ts"
import { serve } from "./served.ts"

const gauge = Effect.map(Metric.snapshot, (all) => {
  const found = all.find(({ id }) => id === "llamero_connections")
  return found?.type === "Gauge" ? Number(found.state.value) : undefined
})

describe("the number of open connections", () => {
  it.live("counts idle ones, goes down when they close, and is gone with the server", () =>
    Effect.gen(function* () {
      const context = yield* Effect.context<never>()
      const now = () => Effect.runSyncWith(context)(gauge)
      const { scope, server } = yield* serve()
      assert.strictEqual(now(), 0)
      const all = yield* Effect.forEach([1, 2, 3], () => Raw.open(server.port))
      yield* until(() => now() === 3, "three connections")
      all[0]!.socket.destroy()
      yield* until(() => now() === 2, "one less")
      all[1]!.write("not HTTP\r\n\r\n")
      yield* until(() => now() === 1, "one that the server has closed")
      yield* Scope.close(scope, Exit.void)
      assert.isUndefined(now())
    }).pipe(Effect.scoped, Effect.provide(Layer.succeed(Metric.MetricRegistry, new Map()))))
})
