import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import * as Listeners from "../../src/support/listeners.ts"

describe("listeners", () => {
  it("calls the listeners in order until they are removed", () => {
    const listeners = Listeners.make<number>()
    const heard: Array<string> = []
    const stop = listeners.add((value) => heard.push(`first ${value}`))
    listeners.add((value) => heard.push(`second ${value}`))
    listeners.notify(1)
    stop()
    stop()
    listeners.notify(2)
    assert.deepStrictEqual(heard, ["first 1", "second 1", "second 2"])
  })

  it("one function that is added twice is called twice and removed separately", () => {
    const listeners = Listeners.make<void>()
    let calls = 0
    const listener = () => void calls++
    const stop = listeners.add(listener)
    listeners.add(listener)
    listeners.notify()
    stop()
    listeners.notify()
    assert.strictEqual(calls, 3)
  })

  it("a listener that throws does not keep the others from being called", () => {
    const listeners = Listeners.make<void>()
    let calls = 0
    const broken = new Error("broken")
    listeners.add(() => {
      throw broken
    })
    listeners.add(() => void calls++)
    assert.throws(() => listeners.notify(), "broken")
    assert.strictEqual(calls, 1)
  })

  it.effect("a logged set logs what its listeners throw and does not throw itself", () => {
    const lines: Array<unknown> = []
    return Effect.gen(function* () {
      const listeners = yield* Listeners.logged<void>("breaker transitions")
      listeners.add(() => {
        throw new Error("broken")
      })
      listeners.notify()
      yield* Effect.yieldNow
      assert.lengthOf(lines, 1)
      assert.include(String(lines[0]), "listeners of breaker transitions failed")
    }).pipe(Effect.provide(Logger.layer([Logger.make(({ message }) => void lines.push(message))])))
  })
})
