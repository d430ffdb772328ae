/** Requests that no client would send, over sockets, for about a minute. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { fuzz } from "../fuzz/fuzz.ts"

describe("requests of all kinds", () => {
  for (const seed of [11, 12, 13, 14]) {
    it.live(`seed ${seed}`, () =>
      Effect.gen(function* () {
        const { requests } = yield* fuzz(seed, 400)
        assert.isAtLeast(requests, 1500)
      }), 300_000)
  }
})
