import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import * as QueuelessAdmission from "../../../src/layers/admission/QueuelessAdmission.ts"
import { contract, enter } from "../../../src/testing/contracts/Admission.ts"
import * as MockLeases from "../../../src/testing/mocks/MockLeases.ts"
import { holds } from "../../support/checks.ts"

holds("Admission contract: queueless", contract(QueuelessAdmission.layer))

describe("QueuelessAdmission", () => {
  it.effect("sheds a request that would have to wait", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(enter("a"))
      assert.strictEqual(error.reason, "QueueFull")
      assert.strictEqual(error.retryAfter, 1)
    }).pipe(Effect.provide(Layer.provideMerge(QueuelessAdmission.layer, MockLeases.layer(0)))))

  it.effect("waits for a load of its model; at the end of the load the slots may be taken", () =>
    Effect.gen(function* () {
      const slots = yield* MockLeases.MockSlots
      slots.answer("loading")
      const [first, second, third] = yield* Effect.forEach(
        ["a", "b", "c"],
        (id) => Effect.forkChild(enter(id, Effect.never), { startImmediately: true }),
      )
      yield* Effect.yieldNow
      assert.isUndefined(first!.pollUnsafe())
      yield* Fiber.interrupt(third!)
      slots.answer(undefined)
      yield* Effect.yieldNow
      assert.deepStrictEqual(slots.granted, ["a"])
      assert.strictEqual((yield* Effect.flip(Fiber.join(second!))).reason, "QueueFull")
    }).pipe(Effect.provide(Layer.provideMerge(QueuelessAdmission.layer, MockLeases.layer(1)))))
})
