/** A wrong implementation must be caught by the check of what is wrong with it. A right one must pass all checks. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Check, violations } from "../../src/testing/index.ts"

/** `by` is the name of the check that must fail, `says` a part of its message. */
export const caught = (what: string, checks: ReadonlyArray<Check>, by: string, says: RegExp): void =>
  void it.live(what, () =>
    Effect.gen(function* () {
      const meant = checks.filter(({ name }) => name === by)
      assert.lengthOf(meant, 1, `there is no check "${by}"`)
      const [violation] = yield* violations(meant)
      assert.isDefined(violation, "the check did not fail")
      assert.strictEqual(violation?.check, by)
      assert.match(violation?.message ?? "", says)
    }), 120_000)

export const passes = (what: string, checks: ReadonlyArray<Check>): void =>
  void describe(what, () => {
    it.live("a right one passes", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* violations(checks), [])
      }), 120_000)
  })
