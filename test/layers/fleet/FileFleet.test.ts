import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, Logger, PlatformError } from "effect"
import { TestClock } from "effect/testing"
import * as DnsFleet from "../../../src/layers/fleet/DnsFleet.ts"
import * as FileFleet from "../../../src/layers/fleet/FileFleet.ts"
import { Fleet } from "../../../src/services/Fleet.ts"
import * as FleetContract from "../../../src/testing/contracts/Fleet.ts"
import { holds } from "../../support/checks.ts"

/** A file that a test writes; `undefined` for a file that does not exist. */
const file = (text: string | undefined) => {
  const state = { text }
  const missing = PlatformError.systemError({ _tag: "NotFound", module: "FileSystem", method: "readFileString" })
  const files = FileSystem.layerNoop({
    readFileString: () =>
      Effect.suspend(() => state.text === undefined ? Effect.fail(missing) : Effect.succeed(state.text)),
  })
  return { state, layer: Layer.provide(FileFleet.layer("/fleet.json"), files) }
}
const fleetOf = (...backends: ReadonlyArray<unknown>) => JSON.stringify({ backends })
const a = { url: "http://a:1", id: "a" }
const b = { url: "http://b:1", id: "b" }

holds("FileFleet is a Fleet", FleetContract.contract(file(fleetOf(a, b)).layer))
const members = Effect.map(
  Fleet,
  (fleet) => fleet.members().map(({ backend, state }) => `${backend.id} ${state} ${backend.weight}`),
)

describe("FileFleet", () => {
  it.effect("names the models that backends are to have: those of all, then those of each; absent where nothing is said", () => {
    const { layer, state } = file(
      JSON.stringify({ models: ["all:1b"], backends: ["http://c:1", { ...a, models: ["own"] }] }),
    )
    const models = Effect.map(Fleet, (fleet) => fleet.members().map(({ backend }) => backend.models))
    return Effect.gen(function* () {
      assert.deepStrictEqual(yield* models, [["all:1b"], ["all:1b", "own"]])
      state.text = fleetOf(a, { ...b, models: [] })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* models, [undefined, []])
      const reload = (yield* Fleet).reload!
      for (
        const [text, why] of [
          [fleetOf({ ...a, models: ["a b"] }), /models of "a" has "a b": invalid model name/],
          [fleetOf({ ...a, models: [" "] }), /models of "a" has " ": model is required/],
          [fleetOf({ ...a, models: "all" }), /models/],
          [JSON.stringify({ models: [1], backends: [a] }), /models/],
          [JSON.stringify({ model: ["x"], backends: [a] }), /model/],
        ] as const
      ) {
        state.text = text
        assert.match((yield* Effect.flip(reload)).message, why)
      }
      assert.deepStrictEqual(yield* models, [undefined, []])
    }).pipe(Effect.provide(layer))
  })

  it.effect("reads a changed file: backends are added, removed and weighted anew, and keep the state that an operator gave them", () => {
    const { layer, state } = file(fleetOf(a, b))
    return Effect.gen(function* () {
      const fleet = yield* Fleet
      yield* fleet.setState("b", "draining")
      state.text = fleetOf({ ...b, weight: 3 }, { url: "http://c:1", id: "c" })
      assert.deepStrictEqual(yield* members, ["a active 1", "b draining 1"])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* members, ["b draining 3", "c active 1"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("reads the file at once when asked, and says whether it has changed, or why it cannot be used", () => {
    const { layer, state } = file(fleetOf(a, b))
    return Effect.gen(function* () {
      const reload = (yield* Fleet).reload!
      assert.isFalse(yield* reload)
      state.text = fleetOf(a)
      assert.isTrue(yield* reload)
      assert.deepStrictEqual(yield* members, ["a active 1"])
      assert.isFalse(yield* reload)
      for (
        const [text, why] of [["{", /fleet\.json/], [fleetOf(), /at least one/], [undefined, /fleet\.json/]] as const
      ) {
        state.text = text
        assert.match((yield* Effect.flip(reload)).message, why)
        assert.deepStrictEqual(yield* members, ["a active 1"])
      }
      state.text = fleetOf(b)
      assert.isTrue(yield* reload)
      assert.deepStrictEqual(yield* members, ["b active 1"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("reports no change when a changed file means the same fleet", () => {
    const { layer, state } = file(fleetOf(a, b))
    return Effect.gen(function* () {
      const fleet = yield* Fleet
      const before = fleet.members()
      state.text = ` ${fleetOf(a, b)}\n`
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(fleet.members(), before)
    }).pipe(Effect.provide(layer))
  })

  const bad: ReadonlyArray<readonly [string, string | undefined, RegExp]> = [
    ["is gone", undefined, /\/fleet\.json/],
    ["is no JSON", "{", /\/fleet\.json/],
    ["is cut short", fleetOf(a, b).slice(0, -3), /\/fleet\.json/],
    ["has a field nobody knows", fleetOf({ ...a, wieght: 2 }), /wieght/],
    ["has a field of the wrong type", fleetOf({ ...a, weight: "2" }), /weight/],
    ["has a price that is no number", fleetOf({ ...a, price: "2" }), /price/],
    ["has a price below 0", fleetOf({ ...a, price: -2 }), /price/],
    ["has one id twice", fleetOf(a, { ...b, id: "a" }), /two backends are called "a"/],
    ["has a URL that is none", fleetOf(a, "b:1"), /must be an http/],
    ["is empty", fleetOf(), /at least one/],
  ]
  for (const [what, text, why] of bad) {
    it.effect(`changes nothing when the file ${what}, and recovers`, () => {
      const { layer, state } = file(fleetOf(a, b))
      return Effect.gen(function* () {
        const fleet = yield* Fleet
        const before = fleet.members()
        state.text = text
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual(fleet.members(), before)
        state.text = fleetOf(a)
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* members, ["a active 1"])
      }).pipe(Effect.provide(layer))
    })

    it.effect(`does not start when the file ${what}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Layer.build(file(text).layer))
        assert.strictEqual(error.reason._tag, "InvalidFleet")
        assert.match(error.message, why)
      }))
  }
})

describe("what the log says of a fleet that cannot be read", () => {
  const logging = () => {
    const lines: Array<string> = []
    return { lines, layer: Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))]) }
  }

  it.effect("FileFleet: one line when the file is gone, and one when it is back", () => {
    const { layer, state } = file(fleetOf(a, b))
    const { layer: logger, lines } = logging()
    const good = state.text
    return Effect.gen(function* () {
      yield* Fleet
      for (let i = 0; i < 2; i++) {
        state.text = undefined
        yield* TestClock.adjust("10 minutes")
        state.text = good
        yield* TestClock.adjust("10 minutes")
      }
      assert.lengthOf(lines, 4)
      assert.match(lines[2]!, /fleet unchanged/)
      assert.match(lines[3]!, /fleet: 2 backends in/)
    }).pipe(Effect.provide(Layer.provide(layer, logger)))
  })

  it.effect("DnsFleet: one line when the name does not resolve, and one when it does again", () => {
    let answer: () => Promise<ReadonlyArray<string>> = () => Promise.resolve(["10.0.0.1"])
    let asked = 0
    const { layer: logger, lines } = logging()
    const fleet = DnsFleet.layer({ name: "ollama.local", resolve: () => (asked++, answer()) })
    const look = Effect.andThen(
      TestClock.adjust("5 seconds"),
      Effect.promise(() => new Promise((done) => setImmediate(done))),
    )
    return Effect.gen(function* () {
      yield* Fleet
      for (let i = 0; i < 2; i++) {
        let way = 0
        answer = () => Promise.reject(new Error(way++ % 2 === 0 ? "SERVFAIL" : "ETIMEOUT"))
        for (let n = 0; n < 20; n++) yield* look
        answer = () => Promise.resolve(["10.0.0.1"])
        for (let n = 0; n < 20; n++) yield* look
      }
      assert.isAbove(asked, 60)
      assert.lengthOf(lines, 4)
      assert.match(lines[2]!, /fleet unchanged: .*SERVFAIL/)
      assert.match(lines[3]!, /fleet: 1 backends behind ollama\.local/)
    }).pipe(Effect.provide(Layer.provide(fleet, logger)))
  })
})
