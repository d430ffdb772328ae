/** A fault that lasts is logged when it begins and when it is over. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Logger } from "effect"
import { TestClock } from "effect/testing"
import { every } from "../../src/support/every.ts"
import * as Outage from "../../src/support/outage.ts"

const logging = () => {
  const lines: Array<string> = []
  return {
    lines,
    layer: Logger.layer([Logger.make(({ message }) => void lines.push([message].flat().map(String).join(" ")))]),
  }
}

describe("an outage", () => {
  it.effect("is logged once for each fault, and once at its end", () => {
    const { layer, lines } = logging()
    return Effect.gen(function* () {
      const outage = Outage.make()
      yield* outage.ends(Effect.logInfo("over"))
      for (const fault of ["a", "a", "b", "b", "a"]) yield* outage.begins(fault, Effect.logInfo(fault))
      assert.isTrue(outage.lasts())
      for (let i = 0; i < 3; i++) yield* outage.ends(Effect.logInfo("over"))
      assert.isFalse(outage.lasts())
      yield* outage.begins("a", Effect.logInfo("a"))
      assert.deepStrictEqual(lines, ["a", "b", "a", "over", "a"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("of a background check that dies for an hour is two lines", () => {
    const { layer, lines } = logging()
    return Effect.gen(function* () {
      let broken = true
      const check = Effect.suspend(() => broken ? Effect.die(new Error("no such thing")) : Effect.void)
      yield* Effect.forkScoped(every(Duration.seconds(2), check))
      yield* TestClock.adjust("1 hour")
      broken = false
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(lines, [
        "a background check failed Error: no such thing",
        "over: a background check failed",
      ])
    }).pipe(Effect.provide(layer))
  })
})
