/** A share of the seeds, as one test file: files run at the same time, so the shares use all cores. */
import { assert, describe, it } from "vitest"
import process from "node:process"
import { explain, play, type Played } from "../../src/testing/faults/play.ts"

const given = process.env["LLAMERO_SEED"]
const isDeno = "Deno" in globalThis
/** Deno takes its share of the same seeds: what it is to show is that they come out the same there. */
// Neighbours differ in whether memory is managed, so a share takes them in pairs.
const seedsAll = Number(process.env["LLAMERO_SEEDS"] ?? (isDeno ? 8 : 200))
const requests = Number(process.env["LLAMERO_REQUESTS"] ?? 5000)

/** What a failing seed says: enough to see it again alone. */
const failure = (played: Played): string =>
  explain(
    played,
    `  LLAMERO_SEED=${played.seed} LLAMERO_REQUESTS=${played.requests} npx vitest run test/simulation/faults1.test.ts`,
  )

export const suite = (share: number, shares: number): void => {
  const seeds = given === undefined
    ? Array.from({ length: seedsAll }, (_, i) => i + 1).filter((seed) => Math.floor(seed / 2) % shares === share - 1)
    : share === 1
    ? given.split(",").map(Number)
    : []

  describe(`faults, share ${share} of ${shares}`, () => {
    it.runIf(seeds.length > 0)(`${seeds.length} seeds of ${requests} requests keep to every invariant`, () => {
      const ends: Record<string, number> = {}
      let millis = 0
      for (const seed of seeds) {
        const played = play(seed, requests)
        millis += played.elapsed
        for (const [end, count] of Object.entries(played.ends)) ends[end] = (ends[end] ?? 0) + count
        assert.isEmpty(played.violations, failure(played))
      }
      // Nothing is shown by a suite in which nothing happened.
      const answered = ends["answered 200"] ?? 0
      assert.isAbove(answered, 0.3 * requests * seeds.length)
      console.log(
        `${seeds.length} seeds, ${seeds.length * requests} requests, ${Math.round(millis / 60_000)} virtual minutes:`,
        JSON.stringify(ends),
      )
    }, 1_800_000)

    it("the same seed gives the same trace", () => {
      for (const seed of (given === undefined ? [share, share + 2] : seeds)) {
        assert.strictEqual(play(seed, 1000).hash, play(seed, 1000).hash, `seed ${seed}`)
      }
      assert.notStrictEqual(play(share, 300).hash, play(share + 1, 300).hash)
    }, 60_000)
  })
}
