import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, type Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Observers from "../../../src/layers/events/Observers.ts"
import * as RingRouterEvents from "../../../src/layers/events/RingRouterEvents.ts"
import * as SynchronousRouterEvents from "../../../src/layers/events/SynchronousRouterEvents.ts"
import { type RouterEvent, RouterEvents } from "../../../src/services/RouterEvents.ts"
import { contract, event, settle } from "../../../src/testing/contracts/RouterEvents.ts"
import { holds } from "../../support/checks.ts"

holds("RouterEvents contract: ring", contract(RingRouterEvents.layer()))
holds("RouterEvents contract: synchronous", contract(SynchronousRouterEvents.layer))

const id = (one: unknown) => (one as { id: string }).id

describe("RingRouterEvents", () => {
  it.effect("loses events while too many wait, and counts them", () =>
    Effect.gen(function* () {
      const events = yield* RouterEvents
      const heard: Array<string> = []
      yield* events.subscribe((one) => heard.push(id(one)))
      for (let i = 0; i < 10; i++) events.publish(event(`${i}`))
      yield* settle
      assert.deepStrictEqual(heard, ["0", "1", "2", "3"])
      assert.strictEqual(events.lost(), 6)
      events.publish(event("10"))
      yield* settle
      assert.deepStrictEqual(heard.at(-1), "10")
    }).pipe(Effect.provide(RingRouterEvents.layer({ capacity: 4 }))))

  it.effect("keeps a limited number of events a second, and calls the listeners for all", () =>
    Effect.gen(function* () {
      const events = yield* RouterEvents
      let heard = 0
      yield* events.subscribe(() => heard++)
      for (let i = 0; i < 10; i++) events.publish(event(`${i}`))
      yield* settle
      assert.deepStrictEqual(events.recent(99).map(id), ["2", "1", "0"])
      assert.strictEqual(heard, 10)
      yield* TestClock.adjust("1 second")
      events.publish(event("later"))
      assert.deepStrictEqual(events.recent(2).map(id), ["later", "2"])
    }).pipe(Effect.provide(RingRouterEvents.layer({ historyPerSecond: 3 }))))

  it.effect("keeps the last events in a ring", () =>
    Effect.gen(function* () {
      const events = yield* RouterEvents
      for (let i = 0; i < 10; i++) {
        events.publish(event(`${i}`))
        yield* settle
      }
      assert.deepStrictEqual(events.recent(99).map(id), ["9", "8", "7", "6"])
    }).pipe(Effect.provide(RingRouterEvents.layer({ capacity: 4 }))))

  it.effect("continues after a listener that throws", () =>
    Effect.gen(function* () {
      const events = yield* RouterEvents
      const heard: Array<string> = []
      yield* events.subscribe(() => {
        throw new Error("bad listener")
      })
      yield* events.subscribe((one) => heard.push(id(one)))
      for (const one of ["1", "2"]) {
        events.publish(event(one))
        yield* settle
      }
      assert.deepStrictEqual(heard, ["1", "2"])
    }).pipe(Effect.provide(RingRouterEvents.layer())))

  it.effect("delivers an event that a listener publishes", () =>
    Effect.gen(function* () {
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
  it.effect("an observer that throws gets the next event, and the others get all", () => {
    const heard: Array<string> = []
    const good: Array<string> = []
    const observers = Observers.layer([
      {
        kind: "observer",
        name: "bad",
        observe: (one) => {
          heard.push(id(one))
          throw new Error("bad observer")
        },
      },
      { kind: "observer", name: "good", observe: (one) => Effect.sync(() => void good.push(id(one))) },
    ])
    return Effect.gen(function* () {
      const events = yield* RouterEvents
      events.publish(event("1"))
      events.publish(event("2"))
      yield* Effect.andThen(settle, settle)
      assert.deepStrictEqual(heard, ["1", "2"])
      assert.deepStrictEqual(good, ["1", "2"])
    }).pipe(Effect.provide(observers.pipe(Layer.provideMerge(RingRouterEvents.layer()))))
  })

  it.effect("subscribes to a service that is an instance of a class", () => {
    class Events {
      private readonly listeners: Array<(event: RouterEvent) => void> = []
      subscribe(listener: (event: RouterEvent) => void): Effect.Effect<void, never, Scope.Scope> {
        return Effect.sync(() => void this.listeners.push(listener))
      }
      publish(event: RouterEvent): void {
        for (const listener of this.listeners) listener(event)
      }
      recent(): ReadonlyArray<RouterEvent> {
        return []
      }
      flush(): void {}
      lost(): number {
        return 0
      }
    }
    const heard: Array<string> = []
    const observer = {
      kind: "observer",
      name: "seen",
      observe: (one: RouterEvent) => void heard.push(id(one)),
    } as const
    return Effect.gen(function* () {
      const events = yield* RouterEvents
      events.publish(event("1"))
      yield* settle
      assert.deepStrictEqual(heard, ["1"])
    }).pipe(Effect.provide(
      Observers.layer([observer]).pipe(
        Layer.provideMerge(Layer.sync(RouterEvents, () => new Events())),
      ),
    ))
  })
})
