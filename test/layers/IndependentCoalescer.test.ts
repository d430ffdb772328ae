import { assert, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as IndependentCoalescer from "../../src/layers/IndependentCoalescer.ts"
import { Coalescer } from "../../src/services/Coalescer.ts"
import type { ReplySink } from "../../src/services/Reply.ts"
import type { Demand } from "../../src/services/RoutedRequest.ts"
import type { Settled } from "../../src/services/Router.ts"

it.effect("IndependentCoalescer leads every request itself, in the caller's fiber", () =>
  Effect.gen(function* () {
    const coalescer = yield* Coalescer
    const settled = { result: "answered", status: 200 } as Settled
    const reply = {} as ReplySink
    const demand = { id: "1" } as Demand
    let led = 0
    const lead = (given: Demand, to: ReplySink) =>
      Effect.sync(() => {
        assert.strictEqual(given, demand)
        assert.strictEqual(to, reply)
        led++
        return settled
      })
    assert.strictEqual(yield* coalescer.join("same", demand, reply, lead), settled)
    yield* coalescer.join("same", demand, reply, lead)
    yield* coalescer.join(undefined, demand, reply, lead)
    assert.strictEqual(led, 3)
    let interrupted = false
    const fiber = yield* Effect.forkChild(
      coalescer.join("same", demand, reply, () =>
        Effect.onInterrupt(Effect.never, () =>
          Effect.sync(() => {
            interrupted = true
          }))),
      { startImmediately: true },
    )
    yield* Fiber.interrupt(fiber)
    assert.isTrue(interrupted)
  }).pipe(Effect.provide(IndependentCoalescer.layer)))
