/** Cold starts of two simulated hours, through llamero and directly: `node bench/vram.ts [SEEDS]`. */
import { Effect } from "effect"
import process from "node:process"
import { direct, type Figures, throughLlamero } from "../test/simulation/vramTrace.ts"

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
  for (const seed of seeds) {
    const [llamero, ollama] = [yield* throughLlamero(seed), yield* direct(seed)]
    console.log(row(seed, "llamero", llamero))
    console.log(row(seed, "direct", ollama))
    ratios.push(llamero.cold / ollama.cold)
  }
  const mean = ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length
  const of = (ratio: number) => ratio.toFixed(2)
  console.log(
    `cold starts through llamero / directly: mean ${of(mean)}, from ${of(Math.min(...ratios))} to ${
      of(Math.max(...ratios))
    }`,
  )
}))
