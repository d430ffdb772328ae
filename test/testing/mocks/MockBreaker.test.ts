import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { Breaker, type BreakerKey } from "../../../src/services/Breaker.ts"
import { success } from "../../../src/services/Outcome.ts"
import * as BreakerContract from "../../../src/testing/contracts/Breaker.ts"
import * as MockBreaker from "../../../src/testing/mocks/MockBreaker.ts"
import { holds } from "../../support/checks.ts"

const { MockCircuits } = MockBreaker

const backends = ["a", "b", "b0", "b1"]
const keys: ReadonlyArray<BreakerKey> = backends.flatMap((backend) => [
  { backend },
  ...["m", "m0", "m1", "other"].map((model) => ({ backend, model })),
])

holds(
  "MockBreaker is a Breaker",
  BreakerContract.contract(MockBreaker.layer, {
    runs: 500,
    drive: {
      open: (key) => Effect.map(MockCircuits, ({ set }) => set(key, "open")),
      elapse: (millis) =>
        Effect.gen(function* () {
          const { own, set } = yield* MockCircuits
          yield* TestClock.adjust(millis)
          if (millis >= 30_000) { for (const key of keys) if (own(key) === "open") set(key, "half-open") }
        }),
    },
  }),
)

describe("MockBreaker", () => {
  it.effect("moves when the handle says so, and keeps what was asked of it", () =>
    Effect.gen(function* () {
      const breaker = yield* Breaker
      const { permits, set } = yield* MockCircuits
      for (let i = 0; i < 9; i++) breaker.acquire("a", "m")!.record({ kind: "failure", cause: "refused" })
      assert.strictEqual(breaker.state("a", "m"), "closed")
      set({ backend: "a", model: "m" }, "half-open")
      const trial = breaker.acquire("a", "m")!
      trial.record(success)
      trial.record({ kind: "failure", cause: "reset" })
      assert.lengthOf(permits(), 10)
      assert.deepStrictEqual(permits().at(-1), { backend: "a", model: "m", trial: true, outcome: success })
    }).pipe(Effect.provide(MockBreaker.layer)))
})
