/** Requests that no client would send, over sockets. `test/long` sends many more. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { fuzz } from "./fuzz.ts"

describe("requests of all kinds", () => {
  it.live(
    "no crash, no hang, nothing left, each answer in shape, and Ollama reads what the router read",
    () =>
      Effect.gen(function* () {
        const { compared, requests, succeeded } = yield* fuzz(1, 65)
        assert.isAtLeast(requests, 300)
        assert.isAtLeast(succeeded, 75)
        assert.isAtLeast(compared, 75)
      }),
    180_000,
  )
})
