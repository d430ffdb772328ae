/**
 * Cold starts in two simulated hours, through llamero and directly: `npm run bench:vram -- [SEEDS]`. Two bounds are
 * printed beside them, for loads that begin at once: the fewest possible when the future is known, and those with the
 * least recently used model unloaded.
 */
import { Effect } from "effect"
import process from "node:process"
import { leastRecent, oracle } from "../test/simulation/vramOracle.ts"
import { arrivals, direct, type Figures, throughLlamero } from "../test/simulation/vramTrace.ts"

const seeds = Array.from({ length: Number(process.argv[2] ?? 8) }, (_, index) => `vram-${index + 1}`)
const percent = (part: number): string => `${(100 * part).toFixed(1)} %`
const row = (seed: string, how: string, { cold, failed, loads, overcommits, requests, spills, use }: Figures): string =>
  [
    seed.padEnd(8),
    how.padEnd(8),
    requests,
    cold,
    percent(cold / requests),
    loads,
    spills,
    overcommits,
    failed,
    percent(use),
  ]
    .map((cell) => String(cell).padStart(8)).join(" ")

await Effect.runPromise(Effect.gen(function* () {
  console.log("    seed      how requests     cold   cold %    loads   spills  overcm.   failed     vRAM")
  const ratios: Array<number> = []
  const uses: Array<number> = []
  for (const seed of seeds) {
    const [llamero, ollama] = [yield* throughLlamero(seed), yield* direct(seed)]
    console.log(row(seed, "llamero", llamero))
    console.log(row(seed, "direct", ollama))
    const trace = yield* arrivals(seed)
    console.log(`${seed.padEnd(8)}  cold at least ${oracle(trace)} (oracle), ${leastRecent(trace)} (LRU, no waits)`)
    uses.push(llamero.use)
    ratios.push(llamero.cold / ollama.cold)
  }
  const average = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0) / values.length
  const mean = average(ratios)
  const of = (ratio: number) => ratio.toFixed(2)
  console.log(
    `cold starts through llamero / directly: mean ${of(mean)}, from ${of(Math.min(...ratios))} to ${
      of(Math.max(...ratios))
    }`,
  )
  console.log(`vRAM use while demand exceeds memory: mean ${percent(average(uses))}`)
}))
