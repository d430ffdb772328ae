/** Invariants 1, 3 and 8 over generated histories of loads, leases, failures, probe faults, other processes and restarts. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import process from "node:process"
import { History, play } from "./vramHistory.ts"

const totals = { commits: 0, unloads: 0, loads: 0 }

describe("histories of memory", () => {
  it.effect.prop(
    "memory is promised once, nothing busy, pinned or loading is unloaded, loads are single and serial",
    { steps: History },
    ({ steps }) =>
      Effect.gen(function* () {
        const { commits, loads, unloads } = yield* play(steps)
        totals.commits += commits
        totals.loads += loads
        totals.unloads += unloads
      }),
    {
      arbitrary: { runs: Number(process.env["VRAM_RUNS"] ?? 5000), size: 60, seed: process.env["VRAM_SEED"] ?? "vram" },
      timeout: 280_000,
    },
  )

  it("and they are worth something", () => {
    assert.isAbove(totals.commits, 8000)
    assert.isAbove(totals.unloads, 1000)
  })
})
