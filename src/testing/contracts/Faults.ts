/**
 * What every stack must keep to, whatever goes wrong: the ten invariants, over thousands of requests to simulated backends that refuse, hang, crash, lie and come back,
 * clients that read slowly or leave, GPUs whose readings fail, and clocks that jump.
 *
 * **Example** (your own breaker in the whole router)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { CircuitBreaker } from "effect/persistence"
 * import { LocalBreaker } from "llamero"
 * import { FaultContract } from "llamero/testing"
 * import { test } from "node:test"
 *
 * const mine = LocalBreaker.layer().pipe(Layer.provide(CircuitBreaker.layerStoreMemory()))
 * for (const { name, run } of FaultContract.contract({ breaker: mine })) test(name, () => Effect.runPromise(run))
 * ```
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import * as assert from "../assert.ts"
import { type Check, checkLive } from "../checks.ts"
import { explain, play } from "../faults/play.ts"
import type { Subjects } from "../faults/world.ts"

export { explain, play, type Played } from "../faults/play.ts"
export type { Subjects } from "../faults/world.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Defaults to 1 to 4. In even ones the router manages the GPUs' memory. */
  readonly seeds?: ReadonlyArray<number> | undefined
  /** For each seed; defaults to 1,000. */
  readonly requests?: number | undefined
}

/** One check for each seed; a violation says how to play it again. Virtual time, in one synchronous run. @category contracts @since 0.1.0 */
export const contract = (subjects: Subjects = {}, options: Options = {}): ReadonlyArray<Check> => {
  const { requests = 1000, seeds = [1, 2, 3, 4] } = options
  return seeds.map((seed) =>
    checkLive(`keeps to every invariant under the faults of seed ${seed}`, () =>
      Effect.sync(() => {
        const played = play(seed, requests, subjects)
        assert.ok(
          played.violations.length === 0,
          explain(played, `  FaultContract.play(${seed}, ${requests}, subjects)`),
        )
      }))
  )
}
