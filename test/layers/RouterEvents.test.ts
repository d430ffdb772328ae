import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Observers from "../../src/layers/Observers.ts"
import * as RingRouterEvents from "../../src/layers/RingRouterEvents.ts"
import * as SynchronousRouterEvents from "../../src/layers/SynchronousRouterEvents.ts"
import { RouterEvents } from "../../src/services/RouterEvents.ts"
import { contract, event, settle } from "../contracts/RouterEvents.ts"

contract("ring", RingRouterEvents.layer())
contract("synchronous", SynchronousRouterEvents.layer)

const id = (one: unknown) => (one as { id: string }).id

describe("RingRouterEvents", () => {
  it.effect("overwrites the oldest when nobody reads in time, and counts them", () =>
    Effect.gen(function*() {
      const events = yield* RouterEvents
      const heard: Array<string> = []
      yield* events.subscribe((one) => heard.push(id(one)))
      for (let i = 0; i < 10; i++) events.publish(event(`${i}`))
      yield* settle
      assert.deepStrictEqual(heard, ["6", "7", "8", "9"])
      assert.strictEqual(events.lost(), 6)
      events.publish(event("10"))
      yield* settle
      assert.deepStrictEqual(heard.at(-1), "10")
    }).pipe(Effect.provide(RingRouterEvents.layer({ capacity: 4 }))))

  it.effect("hears what a listener publishes", () =>
    Effect.gen(function*() {
      const events = yield* RouterEvents
      const heard: Array<string> = []
      yield* events.subscribe((one) => {
        heard.push(id(one))
        if (heard.length === 1) events.publish(event("echo"))
      })
      events.publish(event("first"))
      yield* settle
      assert.deepStrictEqual(heard, ["first", "echo"])
    }).pipe(Effect.provide(RingRouterEvents.layer())))
})

describe("Observers", () => {
  it.effect("one that throws hears the next event, and the others hear all", () => {
    const heard: Array<string> = []
    const good: Array<string> = []
    const observers = Observers.layer([
      {
        kind: "observer",
        name: "bad",
        observe: (one) => {
          heard.push(id(one))
          throw new Error("bad observer")
        }
      },
      { kind: "observer", name: "good", observe: (one) => Effect.sync(() => void good.push(id(one))) }
    ])
    return Effect.gen(function*() {
      const events = yield* RouterEvents
      events.publish(event("1"))
      events.publish(event("2"))
      yield* Effect.andThen(settle, settle)
      assert.deepStrictEqual(heard, ["1", "2"])
      assert.deepStrictEqual(good, ["1", "2"])
    }).pipe(Effect.provide(observers.pipe(Layer.provideMerge(RingRouterEvents.layer()))))
  })
})
