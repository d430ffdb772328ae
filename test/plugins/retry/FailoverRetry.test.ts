import { assert, describe, it } from "@effect/vitest"
import * as FailoverRetry from "../../../src/plugins/retry/FailoverRetry.ts"
import * as HedgeRetry from "../../../src/plugins/retry/HedgeRetry.ts"
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
  it("gives up after three attempts", () => {
    const policy = FailoverRetry.make()
    assert.strictEqual(policy.decide(failed(2), 0), "elsewhere")
    assert.strictEqual(policy.decide(failed(3), 0), "give-up")
  })

  it("retries no more than the budget allows during an outage", () => {
    const policy = FailoverRetry.make()
    for (let i = 0; i < 100; i++) policy.seen(0)
    // 10 for the second, and 20 % of 100 requests.
    assert.strictEqual(granted(policy, 1000, 0), 30)
    // One second later there are ten more.
    assert.strictEqual(granted(policy, 1000, 1000), 10)
  })

  it("tells how many retries the budget has left, and takes none by that", () => {
    const policy = FailoverRetry.make()
    assert.strictEqual(policy.budget?.(0), 10)
    for (let i = 0; i < 100; i++) policy.seen(0)
    assert.strictEqual(policy.budget?.(0), 30)
    assert.strictEqual(granted(policy, 12, 0), 12)
    assert.strictEqual(policy.budget?.(0), 18)
    assert.strictEqual(granted(policy, 1000, 0), 18)
    assert.strictEqual(policy.budget?.(0), 0)
    assert.strictEqual(policy.budget?.(1000), 10)
    assert.strictEqual(FailoverRetry.make({ perSecond: 0 }).budget?.(0), 0)
    assert.strictEqual(HedgeRetry.make(FailoverRetry.make()).budget?.(0), 10)
  })

  it("forgets retries that were added more than ten seconds ago", () => {
    const policy = FailoverRetry.make()
    for (let i = 0; i < 1000; i++) policy.seen(0)
    assert.strictEqual(granted(policy, 1000, 11_000), 10)
  })

  it("rejects options that make no sense", () => {
    assert.throws(() => FailoverRetry.make({ ratio: -1 }), RangeError)
    assert.throws(() => FailoverRetry.make({ attemptsMax: 0 }), RangeError)
  })
})
