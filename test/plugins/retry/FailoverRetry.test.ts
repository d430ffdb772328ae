import { assert, describe, it } from "@effect/vitest"
import * as FailoverRetry from "../../../src/plugins/retry/FailoverRetry.ts"
import type { FailedAttempt } from "../../../src/services/Plugin.ts"
import { demandFor, modelOn } from "../../support/demands.ts"

const failed = (attempts: number): FailedAttempt => ({
  demand: demandFor(modelOn("m:latest", "a")),
  backend: "a",
  outcome: { kind: "failure", cause: "refused" },
  attempts,
})

const granted = (policy: ReturnType<typeof FailoverRetry.make>, tries: number, now: number) =>
  Array.from({ length: tries }, () => policy.decide(failed(1), now)).filter((one) => one === "elsewhere").length

describe("FailoverRetry", () => {
  it("stops after two more attempts", () => {
    const policy = FailoverRetry.make()
    assert.strictEqual(policy.decide(failed(2), 0), "elsewhere")
    assert.strictEqual(policy.decide(failed(3), 0), "give-up")
  })

  it("spends what is there, and no more, in an outage", () => {
    const policy = FailoverRetry.make()
    for (let i = 0; i < 100; i++) policy.seen(0)
    // 10 that need no earning, and 20 % of 100.
    assert.strictEqual(granted(policy, 1000, 0), 30)
    // A second later: ten more.
    assert.strictEqual(granted(policy, 1000, 1000), 10)
  })

  it("forgets what was earned more than ten seconds ago", () => {
    const policy = FailoverRetry.make()
    for (let i = 0; i < 1000; i++) policy.seen(0)
    assert.strictEqual(granted(policy, 1000, 11_000), 10)
  })

  it("refuses nonsense", () => {
    assert.throws(() => FailoverRetry.make({ ratio: -1 }), RangeError)
    assert.throws(() => FailoverRetry.make({ attemptsMax: 0 }), RangeError)
  })
})
