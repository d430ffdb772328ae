/**
 * Invariants 1, 3 and 8 over generated histories of loads, leases, failures, probe faults, other processes and
 * restarts.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { History, play } from "./vramHistory.ts"

/** `runs` histories from one seed. Test files with different seeds run in parallel. */
export const suite = (seed: string, runs: number): void => {
  const totals = { commits: 0, unloads: 0, wholes: 0 }

  describe("histories of memory", () => {
    it.effect.prop(
      "memory is promised once, nothing busy, pinned or loading is unloaded, loads are single and serial",
      { steps: History },
      ({ steps }) =>
        Effect.gen(function* () {
          const { commits, unloads, wholes } = yield* play(steps)
          totals.commits += commits
          totals.unloads += unloads
          totals.wholes += wholes
        }),
      {
        arbitrary: { runs, size: 60, seed },
        timeout: 280_000,
      },
    )

    it("the histories reach the cases that they are meant to test", () => {
      assert.isAbove(totals.commits, 1.6 * runs)
      assert.isAbove(totals.unloads, 0.2 * runs)
      assert.isAbove(totals.wholes, 0.1 * runs)
    })
  })
}
