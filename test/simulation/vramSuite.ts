/**
 * Invariants 1, 3 and 8 over generated histories of loads, leases, failures, probe faults, other processes and
 * restarts.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import process from "node:process"
import { History, play } from "./vramHistory.ts"

/** The halves run in parallel in files of their own, so that neither comes near its time limit on a slow machine. */
export const suite = (half: 1 | 2): void => {
  const runs = Number(process.env["VRAM_RUNS"] ?? 2500)
  const totals = { commits: 0, unloads: 0 }

  describe("histories of memory", () => {
    it.effect.prop(
      "memory is promised once, no busy, pinned or loading model is unloaded, loads are single and serial",
      { steps: History },
      ({ steps }) =>
        Effect.gen(function* () {
          const { commits, unloads } = yield* play(steps)
          totals.commits += commits
          totals.unloads += unloads
        }),
      {
        arbitrary: { runs, size: 60, seed: `${process.env["VRAM_SEED"] ?? "vram"}-${half}` },
        timeout: 280_000,
      },
    )

    it("the histories reach the cases that they are meant to test", () => {
      assert.isAbove(totals.commits, 1.6 * runs)
      assert.isAbove(totals.unloads, 0.2 * runs)
    })
  })
}
