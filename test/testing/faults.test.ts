/** How the exported fault contract reports. `test/long/wrongStacks.test.ts` has wrong layers, which it has to catch. */
import { assert, describe, it } from "@effect/vitest"
import { FaultContract } from "../../src/testing/index.ts"

describe("a report", () => {
  const violation = (what: string, invariant = 5) => ({ invariant, checker: "attempts", what })
  const played = (seed: number, ...violations: ReadonlyArray<ReturnType<typeof violation>>) => ({
    seed,
    violations,
    exercised: [{ invariant: 5, checker: "attempts", situations: { "second attempts": seed, "late failures": 0 } }],
  })
  const reports = FaultContract.report([
    played(
      3,
      ...Array.from({ length: 50 }, (_, i) => violation(`r${i} was sent 4 times`)),
      violation("r9 was lost", 4),
    ),
    played(4, violation("r1 was sent again after its answer had begun")),
  ])

  it("groups violations by invariant, and has each kind once, with a count", () => {
    assert.deepStrictEqual(reports[5]?.violations, [
      { what: "r0 was sent 4 times", count: 50, seeds: [3] },
      { what: "r1 was sent again after its answer had begun", count: 1, seeds: [4] },
    ])
    assert.deepStrictEqual(reports[4]?.violations, [{ what: "r9 was lost", count: 1, seeds: [3] }])
  })

  it("adds up how often each situation occurred, and names those that did not", () => {
    assert.deepStrictEqual(reports[5]?.exercised, { "second attempts": 7, "late failures": 0 })
    assert.deepStrictEqual(FaultContract.unexercised(reports[5]!), ["late failures"])
    assert.match(FaultContract.explain(reports[5]!), /51 violations\n.*50 x in seed 3.*\n.*1 x in seed 4.*\n.*7 second/)
  })
})
