/**
 * What filters, scorers, pickers and victim pickers must do: give answers of the right shape, answer the same when
 * they are asked the same, and change nothing.
 *
 * @since 0.1.0
 */
import { Arbitrary, Effect, Schema } from "effect"
import type { Candidate, Filter, Picker, Scorer, VictimPicker } from "../../services/Plugin.ts"
import * as assert from "../assert.ts"
import { type Check, property } from "../checks.ts"
import { demandFor, modelOn } from "../demands.ts"
import { SeededRandom } from "../faults/seededRandom.ts"
import * as Generators from "../generators.ts"

const sync = (body: () => void) => Effect.sync(body)
const options = { runs: 500, size: 40, seed: "plugins" }

/** The same numbers in [0, 1) for the same seed. */
const seeded = (seed: number) => {
  const random = new SeededRandom(seed)
  return () => random.next()
}

/**
 * A picker answers an index into any candidates, the same one for the same random numbers. It leaves the candidates as
 * they are.
 *
 * @category contracts
 * @since 0.1.0
 */
export const picker = (subject: Picker): ReadonlyArray<Check> => [
  property(
    "picks one of the candidates, however many there are",
    { candidates: Generators.candidates, seed: Schema.Int },
    ({ candidates, seed }) =>
      sync(() => {
        const picked = subject.pick(candidates, demandFor(modelOn("m:latest", "b0")), seeded(seed))
        assert.isTrue(Number.isInteger(picked), `${picked} is not an index`)
        assert.isTrue(picked >= 0 && picked < candidates.length, `${picked} of ${candidates.length} candidates`)
      }),
    options,
  ),
  property(
    "repeats itself under one seed, and leaves the candidates as they are",
    { candidates: Generators.candidates, seed: Schema.Int },
    ({ candidates, seed }) =>
      sync(() => {
        const before = candidates.slice()
        const ask = (): number => subject.pick(candidates, demandFor(modelOn("m:latest", "b0")), seeded(seed))
        const first = ask()
        assert.strictEqual(ask(), first)
        assert.ok(
          before.length === candidates.length && before.every((one, i) => one === candidates[i]),
          "the candidates changed",
        )
      }),
    options,
  ),
  property(
    "asked again without those already refused, gives each its turn",
    { candidates: Generators.candidates, seed: Schema.Int },
    ({ candidates, seed }) =>
      sync(() => {
        const random = seeded(seed)
        let left: ReadonlyArray<Candidate> = candidates
        while (left.length > 0) {
          const picked = left[subject.pick(left, demandFor(modelOn("m:latest", "b0")), random)]
          assert.ok(picked !== undefined, `none of the last ${left.length}`)
          left = left.filter((one) => one !== picked)
        }
      }),
    options,
  ),
]

/** A scorer answers a number in [0, 1], and the same one again. @category contracts @since 0.1.0 */
export const scorer = (subject: Scorer): ReadonlyArray<Check> => [
  property(
    "rates every backend in [0, 1], and the same way again",
    { situation: Generators.situations },
    ({ situation: { demand, fleet } }) =>
      sync(() => {
        const before = { ...demand }
        for (const view of fleet.backends) {
          const score = subject.score(view, demand, fleet)
          assert.isTrue(score >= 0 && score <= 1, `${view.backend.id} is rated ${score}`)
          assert.strictEqual(subject.score(view, demand, fleet), score)
        }
        assert.deepStrictEqual({ ...demand }, before)
      }),
    options,
  ),
]

/** A filter answers yes or no, and the same again. @category contracts @since 0.1.0 */
export const filter = (subject: Filter): ReadonlyArray<Check> => [
  property(
    "says yes or no to every backend, and the same again",
    { situation: Generators.situations },
    ({ situation: { demand, fleet } }) =>
      sync(() => {
        const before = { ...demand }
        for (const view of fleet.backends) {
          const keeps = subject.keep(view, demand)
          assert.strictEqual(typeof keeps, "boolean")
          assert.strictEqual(subject.keep(view, demand), keeps)
        }
        assert.deepStrictEqual({ ...demand }, before)
      }),
    options,
  ),
]

/** A victim picker answers different indices that free enough together, or none. @category contracts @since 0.1.0 */
export const victimPicker = (subject: VictimPicker): ReadonlyArray<Check> => [
  property(
    "picks different victims that free enough, or none",
    { victims: Generators.victims, wanted: Arbitrary.schema(Schema.Literals([1, 3, 8, 30])) },
    ({ victims, wanted }) =>
      sync(() => {
        const before = victims.slice()
        const bytes = wanted * 1024 ** 3
        const picked = subject.pick(victims, bytes, 60_000)
        assert.strictEqual(new Set(picked).size, picked.length, "one of them twice")
        assert.isTrue(picked.every((index) => victims[index] !== undefined), `${picked} of ${victims.length}`)
        const freed = picked.reduce((sum, index) => sum + (victims[index]?.bytes ?? 0), 0)
        if (picked.length > 0) assert.isAtLeast(freed, bytes, "it unloads and still has no room")
        assert.deepStrictEqual(subject.pick(victims, bytes, 60_000), picked)
        assert.ok(
          before.length === victims.length && before.every((one, i) => one === victims[i]),
          "the victims changed",
        )
      }),
    options,
  ),
]
