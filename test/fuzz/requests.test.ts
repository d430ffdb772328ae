/** Requests that no client would send, over sockets. `test/long` sends many more. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as World from "./world.ts"

describe("requests of all kinds", () => {
  it.live(
    "no crash, no hang, nothing left, each answer in shape, and Ollama reads what the router read",
    () =>
      Effect.gen(function* () {
        const { answers, faults } = yield* World.run(1, 300)
        assert.deepStrictEqual(faults, [])
        assert.isAbove(answers, 200)
      }),
    60_000,
  )
})
