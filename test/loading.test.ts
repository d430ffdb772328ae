/** A load of 40 seconds, on virtual time: official clients of every dialect live through it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { fetching, passing } from "./support/kill.ts"
import { patients } from "./support/patience.ts"
import { over } from "./support/routers.ts"

describe("a load of 40 seconds", () => {
  it.effect("is lived through by the official clients, and by rules as strict as Python's", () =>
    Effect.gen(function* () {
      const fetch = yield* fetching
      yield* TestClock.adjust("1 second")
      const all = patients("http://llamero.local", fetch)
      const asked = all.map(({ ask }) => ask())
      const signs = yield* passing(Promise.all(asked))
      for (const [i, { name }] of all.entries()) assert.isAtLeast(signs[i]!, 2, name)
    }).pipe(Effect.provide(over({ a: { loadTime: "40 seconds" } }, undefined, { parallelism: 1 }))))
})
