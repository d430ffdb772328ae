/** Which allocations a reading includes. All others have to fit into the free memory of the reading. */
import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Effect, Fiber, Layer } from "effect"
import * as StaticFleet from "../../../../src/layers/fleet/StaticFleet.ts"
import * as MemoryVramLedger from "../../../../src/layers/memory/ledger/MemoryVramLedger.ts"
import { backend } from "../../../../src/services/Fleet.ts"
import { GpuProbe, type GpuReadings, Timeout } from "../../../../src/services/GpuProbe.ts"
import { type Allocation, type NoRoom, VramLedger } from "../../../../src/services/VramLedger.ts"
import { elapse } from "../../../../src/testing/elapse.ts"
import * as Footprints from "../../../../src/testing/footprints.ts"
import * as MockGpuProbe from "../../../../src/testing/mocks/MockGpuProbe.ts"
import { model } from "../../../../src/testing/mocks/MockModelCatalog.ts"

const gib = 1024 ** 3
/** A backend with one card, and one with two. */
const inputs = [
  { url: "http://a", id: "a", devices: ["g0"] },
  { url: "http://b", id: "b", devices: ["g1", "g2"] },
]
const [a, b] = [backend(inputs[0]!), backend(inputs[1]!)]
const one = (name: string) => model({ name, owners: ["a", "b"] })
/** Cards of 16 GiB, each with the given number of GiB free. */
const cards = (...free: ReadonlyArray<number>) =>
  free.map((bytes, index) =>
    MockGpuProbe.device(`g${index}`, ByteSize.gibibytes(16), { freeBytes: ByteSize.gibibytes(bytes) })
  )
const others = Layer.mergeAll(
  Footprints.table({ "m:latest": 6 * gib, "n:latest": 5 * gib }),
  Layer.orDie(StaticFleet.layer(inputs)),
)
/** Another process uses 6 GiB of the first card. */
const stack = MemoryVramLedger.layer().pipe(
  Layer.provideMerge(Layer.mergeAll(MockGpuProbe.layer(cards(10, 16, 16)), others)),
)

/** A ledger whose readings take a second and a half, and show the memory at their beginning. */
const slow = (() => {
  let millis = 0
  return MemoryVramLedger.layer({ interval: "1 hour" }).pipe(
    Layer.provide(Layer.succeed(GpuProbe, {
      source: "slow",
      read: Effect.suspend(() => {
        const answer: GpuReadings = { source: "slow", passedOver: [], devices: cards(10, 16, 16) }
        const after = millis
        millis = 1500
        return after > 0 ? Effect.delay(Effect.succeed(answer), after) : Effect.succeed(answer)
      }),
    })),
    Layer.provide(others),
  )
})()

const isRoom = (made: Allocation | NoRoom): made is Allocation => !("_tag" in made)
const reserved = (made: Allocation | NoRoom): Allocation => {
  assert(isRoom(made), "_tag" in made ? made.reason : "")
  return made
}
const observed = (bytes: number) => ({ size: bytes, sizeVram: bytes, contextLength: 4096, automatic: true })

describe("a reading", () => {
  it.effect("during a load does not include its memory", () =>
    Effect.gen(function* () {
      const ledger = yield* VramLedger
      const first = reserved(ledger.reserve(a, one("m")))
      first.move("loading")
      yield* ledger.refresh
      first.move("resident")
      assert.strictEqual(ledger.room(a), 2 * gib)
      assert.isFalse(isRoom(ledger.reserve(a, one("n"))))
      const readings = yield* MockGpuProbe.MockReadings
      yield* readings.set(cards(4, 16, 16))
      yield* ledger.refresh
      assert.strictEqual(ledger.room(a), 2 * gib)
    }).pipe(Effect.provide(stack)))

  it.effect("that began before a load ended does not include its memory", () =>
    Effect.gen(function* () {
      const ledger = yield* VramLedger
      const reading = yield* Effect.forkChild(ledger.refresh, { startImmediately: true })
      const first = reserved(ledger.reserve(a, one("m")))
      first.move("loading")
      first.move("resident")
      yield* elapse("2 seconds")
      yield* Fiber.join(reading)
      assert.strictEqual(ledger.room(a), 2 * gib)
      assert.isFalse(isRoom(ledger.reserve(a, one("n"))))
    }).pipe(Effect.provide(slow)))

  it.effect("during a release may show some of its memory as free, which must not be counted twice", () =>
    Effect.gen(function* () {
      const ledger = yield* VramLedger
      const readings = yield* MockGpuProbe.MockReadings
      const first = reserved(ledger.reserve(a, one("m")))
      first.move("loading")
      first.move("resident")
      yield* readings.set(cards(4, 16, 16))
      yield* ledger.refresh
      first.move("releasing")
      // Before the next reading, and when half of the memory is free.
      for (const free of [4, 7]) {
        yield* readings.set(cards(free, 16, 16))
        if (free !== 4) yield* ledger.refresh
        const [status] = ledger.devices()
        assert.strictEqual(status?.held, 6 * gib)
        assert.isAtMost(status?.capacity ?? NaN, 8 * gib, "other processes use the rest")
        assert.isFalse(isRoom(ledger.reserve(a, one("n"))))
      }
      yield* readings.set(cards(10, 16, 16))
      yield* ledger.refresh
      assert.strictEqual(ledger.room(a), 8 * gib)
    }).pipe(Effect.provide(stack)))

  it.effect("that is missing is replaced only by memory that the last reading certainly included", () =>
    Effect.gen(function* () {
      const ledger = yield* VramLedger
      const readings = yield* MockGpuProbe.MockReadings
      const free = () => ledger.devices()[0]?.free
      const load = () => {
        const made = reserved(ledger.reserve(a, one("m")))
        made.move("loading")
        made.move("resident")
        ledger.observe(made, undefined, observed(6 * gib))
        return made
      }
      const hangs = readings.set(new Timeout({ description: "the driver hangs" }))
      // Loaded since the last reading, whose free memory still includes these bytes.
      const unseen = load()
      yield* hangs
      unseen.move("releasing")
      yield* elapse("6 seconds")
      assert.strictEqual(free(), 10 * gib)
      // Read again during the release: that reading shows what was free then, and the rest may never become free.
      const seen = load()
      yield* readings.set(cards(4, 16, 16))
      yield* ledger.refresh
      seen.move("releasing")
      yield* readings.set(cards(5, 16, 16))
      yield* ledger.refresh
      yield* hangs
      yield* elapse("6 seconds")
      assert.deepStrictEqual(ledger.allocations(), [])
      assert.strictEqual(free(), 5 * gib)
    }).pipe(Effect.provide(stack)))

  it.effect("that failed leaves open on which of several cards the memory was, so it counts as free on none", () =>
    Effect.gen(function* () {
      const ledger = yield* VramLedger
      const readings = yield* MockGpuProbe.MockReadings
      const [alone, either] = [
        ledger.adopt(a, "m:latest", observed(6 * gib)),
        ledger.adopt(b, "m:latest", observed(6 * gib)),
      ]
      yield* readings.set(cards(4, 10, 16))
      yield* ledger.refresh
      ledger.observe(alone, undefined, observed(6 * gib))
      ledger.observe(either, undefined, observed(6 * gib))
      yield* readings.set(new Timeout({ description: "the driver hangs" }))
      alone.move("releasing")
      either.move("releasing")
      yield* elapse("6 seconds")
      assert.deepStrictEqual(ledger.allocations(), [])
      assert.deepStrictEqual(ledger.devices().map(({ free }) => free), [10 * gib, 10 * gib, 16 * gib])
    }).pipe(Effect.provide(stack)))

  it.effect("with a defect, and a listener that throws, do not end the readings", () => {
    let readings = 0
    const probe = Layer.succeed(GpuProbe, {
      source: "unstable",
      read: Effect.sync((): GpuReadings => {
        readings++
        if (readings !== 2) return { source: "unstable", passedOver: [], devices: cards(10, 16, 16) }
        const [first] = cards(10)
        return { source: "unstable", passedOver: [], devices: [{ ...first!, free: undefined as never }] }
      }),
    })
    return Effect.gen(function* () {
      const ledger = yield* VramLedger
      let calls = 0
      ledger.onChange(() => {
        throw new Error("a broken listener")
      })
      ledger.onChange(() => void calls++)
      yield* elapse("21 seconds")
      assert.strictEqual(readings, 5)
      assert.strictEqual(calls, 3)
      const made = reserved(ledger.reserve(a, one("m")))
      made.move("gone")
      assert.strictEqual(calls, 4)
      assert.strictEqual(ledger.room(a), 8 * gib)
    }).pipe(Effect.provide(MemoryVramLedger.layer().pipe(Layer.provide(Layer.merge(probe, others)))))
  })
})
