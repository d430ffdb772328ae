import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream, SubscriptionRef } from "effect"
import { type Backend, backend, Fleet, type Member } from "../../src/services/Fleet.ts"
import { elapse } from "../../src/testing/elapse.ts"
import { perBackend } from "../../src/support/perBackend.ts"

const member = (more: Partial<Backend>): Member => ({
  backend: backend({ url: "http://a", id: "a", ...more }),
  state: "active",
})

describe("perBackend", () => {
  it.effect("a loop sees what has changed in its backend, and starts again only for another URL", () =>
    Effect.gen(function* () {
      const members = yield* SubscriptionRef.make<ReadonlyArray<Member>>([member({})])
      const fleet = Fleet.of({
        members: () => SubscriptionRef.getUnsafe(members),
        changes: Stream.changes(SubscriptionRef.changes(members)),
        setState: () => Effect.void,
      })
      const starts: Array<string> = []
      const seen: Array<string> = []
      const removed: Array<string> = []
      yield* perBackend(
        fleet,
        ({ url }, latest) =>
          Effect.suspend(() => {
            starts.push(url)
            return Effect.forever(
              Effect.andThen(Effect.sync(() => seen.push(`${latest().weight}`)), Effect.sleep("1 second")),
            )
          }),
        (id) => removed.push(id),
      )
      yield* elapse("1500 millis")
      yield* SubscriptionRef.set(members, [member({ weight: 3, labels: { zone: "b" } })])
      yield* elapse("1 second")
      assert.deepStrictEqual([starts, seen, removed], [["http://a"], ["1", "1", "3"], []])
      yield* SubscriptionRef.set(members, [member({ url: "http://b", weight: 5 })])
      yield* elapse("100 millis", "10 millis")
      assert.deepStrictEqual([starts, seen.at(-1), removed], [["http://a", "http://b"], "5", ["a"]])
      yield* SubscriptionRef.set(members, [])
      yield* elapse("2 seconds")
      assert.deepStrictEqual(removed, ["a", "a"])
    }))
})
