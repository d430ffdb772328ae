/** A day on which 10,000 backends come and go, and 100,000 tenants ask once. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Churn from "../simulation/churn.ts"

describe("churn", () => {
  it.effect("a day of 10,000 backends and 100,000 tenants leaves nothing behind", () =>
    Effect.gen(function* () {
      const { answered, seen } = yield* Churn.watched(10_000, 10)
      assert.strictEqual(answered, 100_000)
      const half = seen.slice(20, 25).map(({ total }) => total)
      const end = seen.slice(-5).map(({ total }) => total)
      // What is learned of footprints may have 4,096 keys. Maps are swept in turn, so the sum goes up and down.
      assert.isBelow(seen.at(-1)!.largest[0]!, 4200)
      assert.isBelow(Math.max(...end), Math.max(...half) + 3000, JSON.stringify(seen.map(({ total }) => total)))
      assert.isBelow(Math.max(...end), 15_000)
    }), 1_800_000)
})
