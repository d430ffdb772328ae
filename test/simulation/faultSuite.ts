/** Random faults against the whole router, checked by the ten invariants. */
import { assert, describe, it } from "vitest"
import process from "node:process"
import { play, type Played } from "../../src/testing/faults/play.ts"
import { explain, report, unexercised } from "../../src/testing/faults/report.ts"

/** One seed or several to play again, in place of a suite's own. */
const given = process.env["LLAMERO_SEED"]?.split(",").map(Number)

/** What a failing seed says: enough to play it again alone. */
const failure = (played: Played): string =>
  [
    `again with LLAMERO_SEED=${played.seed} LLAMERO_REQUESTS=${played.requests} npx vitest run test/simulation/faults.test.ts`,
    ...report([played]).filter(({ violations }) => violations.length > 0).map(explain),
  ].join("\n")

/** Plays the seeds, each with `requests` requests. */
export const suite = (own: ReadonlyArray<number>, requests: number): void => {
  const seeds = given ?? own

  describe("faults", () => {
    it(`${seeds.length} seeds of ${requests} requests keep to every invariant`, () => {
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

    it("the same seed gives the same trace, another seed another trace", () => {
      const [first = 1] = seeds
      assert.strictEqual(play(first, 1000).hash, play(first, 1000).hash, `seed ${first}`)
      assert.notStrictEqual(play(first, 300).hash, play(first + 1, 300).hash)
    }, 60_000)
  })
}
