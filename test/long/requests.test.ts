/** Requests that no client would send, over sockets, for about a minute. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { fuzz } from "../fuzz/fuzz.ts"

describe("requests of all kinds", () => {
  for (const seed of [11, 12, 13, 14]) {
    it.live(`seed ${seed}`, () =>
      Effect.gen(function* () {
        const { aborted, compared, requests, succeeded } = yield* fuzz(seed, 300)
        console.log(`${requests} requests, ${succeeded} answered, ${compared} compared, ${aborted} aborted`)
        assert.isAtLeast(requests, 1500)
        assert.isAtLeast(succeeded, 400)
        assert.isAtLeast(compared, 400)
        assert.isAtLeast(aborted, 1)
      }), 300_000)
  }
})
