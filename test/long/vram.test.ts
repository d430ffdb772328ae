/** The advantage of a router that owns the memory, on a few seeds. `npm run bench:vram` prints more of them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { oracle } from "../simulation/vramOracle.ts"
import { arrivals, direct, throughLlamero } from "../simulation/vramTrace.ts"

const seeds = ["vram-1", "vram-2", "vram-3"]

describe("two hours on one card with six models that do not all fit", () => {
  it.live(
    "no overcommit, no spill, a full card, no cold start of a prewarmed model, fewer cold starts than without a router",
    () =>
      Effect.gen(function* () {
        let [cold, coldDirect, use] = [0, 0, 0]
        for (const seed of seeds) {
          const figures = yield* throughLlamero(seed)
          assert.deepInclude(figures, { overcommits: 0, spills: 0, coldPrewarmed: 0, failed: 0 }, seed)
          // Fewer cold starts than with a known future are impossible: then the trace or the count would be wrong.
          assert.isAtLeast(figures.cold, oracle(yield* arrivals(seed)), seed)
          cold += figures.cold
          use += figures.use / seeds.length
          coldDirect += (yield* direct(seed)).cold
        }
        // Over eight seeds use is 0.926 and the ratio 0.59, from 0.46 to 0.70 (`npm run bench:vram -- 8`).
        assert.isAtLeast(use, 0.9)
        assert.isAtMost(cold / coldDirect, 0.66)
      }),
    300_000,
  )
})
