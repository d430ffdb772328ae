/**
 * What every `VramLedger` must do.
 *
 * @since 0.1.0
 */
import { Effect, type Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { type Backend, backend } from "../../services/Fleet.ts"
import type { Model } from "../../services/ModelCatalog.ts"
import { type Allocation, type AllocationState, type NoRoom, VramLedger } from "../../services/VramLedger.ts"
import * as assert from "../assert.ts"
import { type Check, check, property } from "../checks.ts"
import { model } from "../mocks/MockModelCatalog.ts"

const a = backend({ url: "http://a", id: "a", devices: ["ga"] })
const b = backend({ url: "http://b", id: "b", devices: ["gb"] })
const m = model({ name: "m", owners: ["a", "b"] })
const n = model({ name: "n", owners: ["a", "b"] })

const isRoom = (made: Allocation | NoRoom): made is Allocation => !("_tag" in made)
const isLoading = (state: AllocationState): boolean => state === "reserved" || state === "loading"

const upTo = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
const Step = Schema.Struct({
  // Reservations come more often, so that devices fill up: only full ones show anything.
  do: Schema.Literals([
    "reserve",
    "reserve",
    "load",
    "settle",
    "settle",
    "drain",
    "release",
    "release",
    "gone",
    "adopt",
    "wait",
  ]),
  backend: upTo(1),
  model: upTo(1),
  which: upTo(30),
})

const states: Readonly<Record<string, AllocationState>> = {
  load: "loading",
  settle: "resident",
  drain: "draining",
  release: "releasing",
  gone: "gone",
}
/** States in the order in which an allocation may go through them. */
const order: ReadonlyArray<AllocationState> = ["reserved", "loading", "resident", "draining", "releasing", "gone"]

/** What must hold at any time. `tracked` is every allocation that the ledger ever gave out. */
const account = (ledger: VramLedger["Service"], tracked: ReadonlyArray<Allocation>): void => {
  const held = ledger.allocations()
  const live = tracked.filter((one) => one.state() !== "gone")
  assert.strictEqual(new Set(held).size, held.length, "an allocation is in the books twice")
  for (const one of live) {
    assert.ok(held.includes(one), `${one.model} on ${one.backend} is ${one.state()}, and not in the books`)
  }
  assert.lengthOf(held, live.length, "what is gone is still in the books")
  for (const { device, held: sum } of ledger.devices()) {
    const shares = held.flatMap((one) => one.shares()).filter((share) => share.device === device)
    assert.strictEqual(
      sum,
      shares.reduce((total, { bytes }) => total + bytes, 0),
      `the sum of allocations on ${device}`,
    )
  }
}

const serialLoads = Effect.gen(function* () {
  const ledger = yield* VramLedger
  const first = ledger.reserve(a, m)
  assert.ok(isRoom(first), "there is room for the first")
  assert.strictEqual(first.state(), "reserved")
  first.move("loading")
  const refused = ledger.reserve(a, n)
  assert.ok(!isRoom(refused) && refused.reason !== "", "a second load at the same time is refused, with a reason")
  assert.ok(isRoom(ledger.reserve(b, m)), "the other backend has nothing to do with it")
  first.move("resident")
  assert.ok(isRoom(ledger.reserve(a, n)), "there is room for two")
  assert.lengthOf(ledger.allocations(), 3)
  first.move("gone")
  first.move("loading")
  assert.strictEqual(first.state(), "gone")
  assert.lengthOf(ledger.allocations(), 2)
  assert.deepStrictEqual(ledger.allocations().map((each) => each.backend).toSorted(), ["a", "b"])
})

/** A generated history of one ledger. */
class History {
  /** Every allocation that the ledger ever gave out. */
  readonly tracked: Array<Allocation> = []
  /** How often the ledger has told its listener. */
  told = 0
  readonly stop: () => void
  readonly ledger: VramLedger["Service"]
  constructor(ledger: VramLedger["Service"]) {
    this.ledger = ledger
    this.stop = ledger.onChange(() => this.told++)
  }

  take(step: typeof Step.Type): void {
    const { ledger, tracked } = this
    const on = step.backend === 0 ? a : b
    const what = step.model === 0 ? m : n
    const one = tracked[step.which % Math.max(1, tracked.length)]
    const to = states[step.do]
    if (step.do === "reserve") this.reserve(on, what)
    else if (step.do === "adopt") {
      const observed = { size: 2 ** 30, sizeVram: 2 ** 30, contextLength: undefined, automatic: true }
      const made = ledger.adopt(on, what.key, observed)
      tracked.push(made)
      assert.strictEqual(made.state(), "resident")
    } else if (one !== undefined && to !== undefined && order.indexOf(one.state()) <= order.indexOf(to)) {
      const before = this.told
      const was = one.state()
      one.move(to)
      if (was !== "gone" && one.state() === "gone") {
        assert.isAbove(this.told, before, "no listener was told that memory came back")
      }
      if (was === "gone") assert.strictEqual(one.state(), "gone")
    }
    account(ledger, tracked)
  }

  private reserve(on: Backend, what: Model): void {
    const { ledger, tracked } = this
    const loads = tracked.some((other) => other.backend === on.id && isLoading(other.state()))
    const made = ledger.reserve(on, what)
    if (!isRoom(made)) {
      assert.ok(made.reason !== "", "a refusal says why")
      assert.isFalse(made.never, "it would fit into the empty device")
      return
    }
    tracked.push(made)
    assert.strictEqual(made.state(), "reserved")
    assert.isFalse(loads, `a second load began on ${on.id}`)
    const devices = new Set(made.shares().map(({ device }) => device))
    for (const { capacity, device, held } of ledger.devices()) {
      if (!devices.has(device)) continue
      assert.ok(capacity !== undefined && held <= capacity, `${held} bytes promised on ${device} of ${capacity}`)
    }
    if (ledger.managed(on)) assert.ok(devices.size > 0, `nothing is charged for ${made.model}`)
  }

  /** Everything comes back: what was released is free in the end, and then there is room again. */
  readonly end = Effect.suspend(() => {
    for (const one of this.tracked) one.move("releasing")
    return TestClock.adjust("1 minute")
  }).pipe(Effect.andThen(Effect.sync(() => {
    const { ledger, tracked } = this
    account(ledger, tracked)
    for (const one of tracked) assert.strictEqual(one.state(), "gone", `${one.model} on ${one.backend}`)
    assert.lengthOf(ledger.allocations(), 0)
    this.stop()
    const before = this.told
    for (const on of [a, b]) {
      const again = ledger.reserve(on, m)
      assert.ok(isRoom(again), `an empty ${on.id} has no room`)
      again.move("gone")
    }
    assert.strictEqual(this.told, before, "a listener that has stopped is told nothing")
  })))
}

/**
 * `layer` has the backends `a` and `b`, with the devices `ga` and `gb` where memory is managed. Each device has room
 * for two of the models `m:latest` and `n:latest`, and not for many more.
 *
 * @category contracts
 * @since 0.1.0
 */
export const contract = (layer: Layer.Layer<VramLedger, unknown>): ReadonlyArray<Check> => [
  check(
    "loads on one backend one after the other, and gives back what is gone, once",
    () => Effect.provide(serialLoads, layer),
  ),

  // Invariants 1 and 8.
  property(
    "the books add up, capacity is kept to and loads are serial, whatever the history",
    { steps: Schema.Array(Step) },
    ({ steps }) =>
      Effect.gen(function* () {
        const history = new History(yield* VramLedger)
        for (const step of steps) {
          if (step.do === "wait") yield* TestClock.adjust(step.which * 500)
          history.take(step)
        }
        yield* history.end
      }).pipe(Effect.provide(layer)),
    { runs: 300, size: 60, seed: "ledger" },
  ),
]
