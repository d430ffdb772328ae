/** A wrong implementation has to be caught, and by a check that says something. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Check, violations } from "../../src/testing/index.ts"

/** `by`: what the violation has to say, so that it is caught for what is wrong with it. */
export const caught = (what: string, checks: ReadonlyArray<Check>, by: RegExp): void =>
  void it.live(what, () =>
    Effect.gen(function* () {
      const found = yield* violations(checks)
      assert.isNotEmpty(found, "nobody has noticed")
      const told = found.map(({ check, message }) => `${check}: ${message}`).join("\n\n")
      assert.match(told, by)
    }), 120_000)

export const passes = (what: string, checks: ReadonlyArray<Check>): void =>
  void describe(what, () => {
    it.live("a right one passes", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* violations(checks), [])
      }), 120_000)
  })
