/** Requests that no client would send, over sockets, for about a minute. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as World from "../fuzz/world.ts"

describe("requests of all kinds", () => {
  for (const seed of [11, 12, 13, 14]) {
    it.live(`seed ${seed}`, () =>
      Effect.gen(function* () {
        const { answers, faults } = yield* World.run(seed, 4000)
        assert.deepStrictEqual(faults, [])
        assert.isAbove(answers, 2500)
      }), 300_000)
  }
})
