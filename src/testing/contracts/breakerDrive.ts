/** How checks of breakers open one and let time pass. */
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { Breaker, type BreakerKey } from "../../services/Breaker.ts"
import type { Outcome } from "../../services/Outcome.ts"
import * as assert from "../assert.ts"

const failed = (cause: string): Outcome => ({ kind: "failure", cause })
export const refused: Outcome = failed("refused")
export const broken: Outcome = failed("http-500")
export const silent: Outcome = failed("first-byte-timeout")
export const saturated: Outcome = { kind: "saturated", cause: "http-503" }

/** Takes a permit, which must be given, and records the outcome. */
export const attempt = (breaker: Breaker["Service"], outcome: Outcome, times = 1, backend = "a", model = "m"): void => {
  for (let i = 0; i < times; i++) {
    const permit = breaker.acquire(backend, model)
    assert.ok(permit, `attempt ${i} of ${times} is let through`)
    permit.record(outcome)
  }
}

/** How a test opens a closed breaker, and lets the time of an opening pass. @category models @since 0.1.0 */
export interface Drive<R> {
  readonly open: (key: BreakerKey) => Effect.Effect<void, never, Breaker | R>
  readonly elapse: (millis: number) => Effect.Effect<void, never, Breaker | R>
}

/** Opens by failures, and waits in test time. */
export const byFailures: Drive<never> = {
  open: ({ backend, model }) =>
    Effect.map(Breaker, (breaker) => {
      const failure = model === undefined ? refused : broken
      // A bound, for a breaker that never opens.
      for (let i = 0; i < 1000 && breaker.state(backend, model) === "closed"; i++) {
        attempt(breaker, failure, 1, backend, model)
      }
      assert.ok(breaker.state(backend, model) !== "closed", "a thousand failures in a row do not open it")
    }),
  elapse: (millis) => TestClock.adjust(millis),
}

/** What a contract has to know of a breaker. @category models @since 0.1.0 */
export interface Options<R> {
  /** Generated histories. Defaults to `300`. */
  readonly runs?: number | undefined
  /**
   * Whether these outcomes since it closed (`true` is a failure) open a breaker. Defaults to five failures in a row.
   */
  readonly trips?: ((failures: ReadonlyArray<boolean>) => boolean) | undefined
  /**
   * How to open it and let time pass. By default five failures open it, for at most 30 seconds, doubling to 5 minutes.
   */
  readonly drive?: Drive<R> | undefined
}
