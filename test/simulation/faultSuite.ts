/** A share of the seeds, as one test file: files run at the same time, so the shares use all cores. */
import { assert, describe, it } from "vitest"
import process from "node:process"
import { play, type Played } from "../../src/testing/faults/play.ts"
import { explain, report, unexercised } from "../../src/testing/faults/report.ts"

const given = process.env["LLAMERO_SEED"]
const isDeno = "Deno" in globalThis
/** Deno takes fewer of the same seeds: its run has to show that they give the same histories there. */
const seedsAll = Number(process.env["LLAMERO_SEEDS"] ?? (isDeno ? 8 : 200))
const requests = Number(process.env["LLAMERO_REQUESTS"] ?? 5000)

/** What a failing seed says: enough to play it again alone. */
const failure = (played: Played): string =>
  [
    `again with LLAMERO_SEED=${played.seed} LLAMERO_REQUESTS=${played.requests} npx vitest run test/simulation/faults1.test.ts`,
    ...report([played]).filter(({ violations }) => violations.length > 0).map(explain),
  ].join("\n")

export const suite = (share: number, shares: number): void => {
  // Neighbours differ in whether memory is managed, so a share takes them in pairs.
  const seeds = given === undefined
    ? Array.from({ length: seedsAll }, (_, i) => i + 1).filter((seed) => Math.floor(seed / 2) % shares === share - 1)
    : share === 1
    ? given.split(",").map(Number)
    : []

  describe(`faults, share ${share} of ${shares}`, () => {
    it.runIf(seeds.length > 0)(`${seeds.length} seeds of ${requests} requests keep to every invariant`, () => {
      const ends: Record<string, number> = {}
      let millis = 0
      const plays: Array<Pick<Played, "exercised" | "seed" | "violations">> = []
      for (const seed of seeds) {
        const played = play(seed, requests)
        millis += played.elapsed
        plays.push({ seed, exercised: played.exercised, violations: played.violations })
        for (const [end, count] of Object.entries(played.ends)) ends[end] = (ends[end] ?? 0) + count
        assert.isEmpty(played.violations, failure(played))
      }
      const reports = report(plays)
      console.log(
        `${seeds.length} seeds, ${seeds.length * requests} requests, ${Math.round(millis / 60_000)} virtual minutes:`,
        JSON.stringify(ends),
        `\n${reports.map(explain).join("\n")}`,
      )
      // A suite in which nothing happens shows nothing. A single seed need not exercise everything.
      const answered = ends["answered 200"] ?? 0
      assert.isAbove(answered, 0.3 * requests * seeds.length)
      if (given === undefined) {
        for (const one of reports) assert.isEmpty(unexercised(one), explain(one))
      }
    }, 1_800_000)

    it("the same seed gives the same trace", () => {
      for (const seed of (given === undefined ? [share, share + 2] : seeds)) {
        assert.strictEqual(play(seed, 1000).hash, play(seed, 1000).hash, `seed ${seed}`)
      }
      assert.notStrictEqual(play(share, 300).hash, play(share + 1, 300).hash)
    }, 60_000)
  })
}
