import { assert, describe, it } from "@effect/vitest"
import * as HedgeRetry from "../../../src/plugins/retry/HedgeRetry.ts"
import { success } from "../../../src/services/Outcome.ts"
import type { FailedAttempt, RetryPolicy } from "../../../src/services/Plugin.ts"
import { demandFor, modelOn } from "../../support/demands.ts"

const demand = demandFor(modelOn("m:latest", "a"))

/** Retries as often as requests were seen. */
class Counting implements RetryPolicy {
  readonly kind = "retry"
  readonly name = "counting"
  private left = 0
  seen(): void {
    this.left++
  }
  decide({ attempts }: FailedAttempt): "elsewhere" | "give-up" {
    return attempts <= this.left ? "elsewhere" : "give-up"
  }
}

describe("HedgeRetry", () => {
  it("asks a policy that is an instance of a class, whose methods use this", () => {
    const policy = HedgeRetry.make(new Counting())
    const failed = { demand, backend: "a", outcome: success, attempts: 1 }
    assert.strictEqual(policy.kind, "retry")
    assert.strictEqual(policy.name, "counting+hedge")
    assert.strictEqual(policy.decide(failed, 0), "give-up")
    policy.seen(0)
    assert.strictEqual(policy.decide(failed, 0), "elsewhere")
    assert.strictEqual(policy.decide({ ...failed, attempts: 2 }, 0), "give-up")
  })

  it("keeps streams apart from whole answers, and names no time before it has enough samples", () => {
    const { hedging } = HedgeRetry.make(new Counting(), { quantile: 0.5, samplesMin: 3 })
    for (const millis of [10, 30]) hedging!.observed(demand, true, millis)
    assert.isUndefined(hedging!.after(demand, true))
    hedging!.observed(demand, true, 20)
    assert.strictEqual(hedging!.after(demand, true), 20)
    assert.isUndefined(hedging!.after(demand, false))
  })

  it("rejects a quantile and numbers of samples that make no sense", () => {
    const options = [{ quantile: 0 }, { quantile: 1.1 }, { samplesMin: 0 }, { samplesMin: 5, samplesMax: 4 }]
    for (const one of options) assert.throws(() => HedgeRetry.make(new Counting(), one), RangeError)
  })
})
