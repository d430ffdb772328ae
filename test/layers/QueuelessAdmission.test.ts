import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as MockLeases from "../../src/layers/MockLeases.ts"
import * as QueuelessAdmission from "../../src/layers/QueuelessAdmission.ts"
import { contract, enter } from "../../src/testing/contracts/Admission.ts"
import { holds } from "../support/checks.ts"

holds("Admission contract: queueless", contract(QueuelessAdmission.layer))

describe("QueuelessAdmission", () => {
  it.effect("sheds what would have to wait", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(enter("a"))
      assert.strictEqual(error.reason, "QueueFull")
      assert.strictEqual(error.retryAfter, 1)
    }).pipe(Effect.provide(Layer.provideMerge(QueuelessAdmission.layer, MockLeases.layer(0)))))
})
