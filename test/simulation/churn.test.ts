/** A part of a day of churn; `test/long` has the whole day. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Churn from "./churn.ts"

describe("churn", () => {
  it.effect("400 backends and 3,200 tenants leave nothing behind", () =>
    Effect.gen(function* () {
      const { answered, seen } = yield* Churn.watched(400, 8)
      assert.strictEqual(answered, 3200)
      assert.lengthOf(seen, 2)
      // A tenant has two buckets and a counter, so 9,600 entries were made for tenants alone.
      assert.isBelow(seen[1]!.largest[0]!, 1600)
      assert.isBelow(seen[1]!.total, 6000)
    }), 180_000)
})
