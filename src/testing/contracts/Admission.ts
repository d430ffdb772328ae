/**
 * What every `Admission` must do, with or without a queue. Slots come from `MockLeases`.
 *
 * @since 0.1.0
 */
import { Deferred, Effect, Fiber, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Admission } from "../../services/Admission.ts"
import { Leases } from "../../services/Leases.ts"
import { success } from "../../services/Outcome.ts"
import { type Refusal, refuse } from "../../services/Refusal.ts"
import type { Demand } from "../../services/RoutedRequest.ts"
import * as assert from "../assert.ts"
import { type Check, check, property } from "../checks.ts"
import { demandFor, modelOn } from "../demands.ts"
import * as MockLeases from "../mocks/MockLeases.ts"
import { allAnswered, type ForkedCall, tracked } from "../outstanding.ts"

const model = modelOn("m:latest", "mock")

/** The name of an `admit`, for what never got an answer. */
export const admitOf = ({ id, model, tenant }: Demand): string =>
  `admit of ${id} (model ${model.key}, tenant ${tenant})`

/** Asks for admission, and holds the lease until `until` ends. @category constructors @since 0.1.0 */
export const enter = (
  id: string,
  until: Effect.Effect<unknown> = Effect.void,
  options?: Parameters<typeof demandFor>[1],
): Effect.Effect<string, Refusal, Admission | Leases> =>
  Effect.gen(function* () {
    const admission = yield* Admission
    const leases = yield* Leases
    const demand = demandFor(model, { id, ...options })
    const admitted = admission.admit(demand, () => leases.commit([], demand), (lease) =>
      Effect.andThen(
        until,
        Effect.sync(() => {
          lease.release(success)
          return id
        }),
      ))
    return yield* tracked(admitOf(demand), admitted)
  })

const what = Schema.Literals([
  "arrive",
  "leave",
  "finish",
  "pass-time",
  "more",
  "fewer",
  "loading",
  "refuse",
  "normal",
])
const upTo = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

interface Entered extends ForkedCall {
  readonly done: Deferred.Deferred<void>
}

/** Plays arrivals, clients that leave, and slots that come and go. Then everything ends, and nothing may be left. */
const play = (initial: number, steps: ReadonlyArray<readonly [typeof what.Type, number]>) =>
  Effect.gen(function* () {
    const slots = yield* MockLeases.MockSlots
    const leases = yield* Leases
    const admission = yield* Admission
    const entered: Array<Entered> = []
    let total = initial
    for (const [step, n] of steps) {
      const one = entered.length === 0 ? undefined : entered[n % entered.length]
      if (step === "arrive") {
        const done = yield* Deferred.make<void>()
        const id = `r${entered.length}`
        const fiber = yield* Effect.forkChild(enter(id, Deferred.await(done)))
        entered.push({ name: admitOf(demandFor(model, { id })), fiber, done })
      } else if (step === "leave" && one) one.fiber.interruptUnsafe()
      else if (step === "finish" && one) yield* Deferred.succeed(one.done, undefined)
      else if (step === "pass-time") yield* TestClock.adjust(n * 1000)
      else if (step === "more") slots.setFree(slots.free() + (total++, 1))
      else if (step === "fewer" && slots.free() > 0) slots.setFree(slots.free() - (total--, 1))
      else if (step === "loading") slots.answer("loading")
      else if (step === "refuse") slots.answer(refuse("NoBackend", "none"))
      else if (step === "normal") slots.answer(undefined)
      if (n % 2 === 0) yield* Effect.yieldNow
      for (const queue of admission.queues()) assert.isAtMost(queue.depth, 4)
      assert.strictEqual(slots.free() + leases.count(), total)
    }
    slots.answer(undefined)
    slots.setFree(slots.free() + (total += 1, 1))
    for (const { done } of entered) yield* Deferred.succeed(done, undefined)
    // Slots are free now, so no request needs time to pass.
    yield* allAnswered(entered, TestClock.adjust(0), 1000)
    assert.strictEqual(leases.count(), 0)
    assert.strictEqual(slots.free(), total)
    assert.strictEqual(slots.granted.length, slots.released.length)
    assert.strictEqual(new Set(slots.granted).size, slots.granted.length)
    assert.lengthOf(admission.queues(), 0)
  })

/**
 * `layer` holds at most four waiting requests of a model; it may hold fewer, or none.
 *
 * @category contracts
 * @since 0.1.0
 */
export const contract = (layer: Layer.Layer<Admission, unknown, Leases>): ReadonlyArray<Check> => {
  const over = (slots: number) => Layer.provideMerge(layer, MockLeases.layer(slots))

  return [
    check("lets through at once what has a lease, and gives it back once", () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* enter("a"), "a")
        const slots = yield* MockLeases.MockSlots
        assert.strictEqual(slots.free(), 1)
        assert.deepStrictEqual(slots.released, [success])
      }).pipe(Effect.provide(over(1)))),

    check("passes a refusal on", () =>
      Effect.gen(function* () {
        const slots = yield* MockLeases.MockSlots
        slots.answer(refuse("NoBackend", "none"))
        const error = yield* Effect.flip(enter("a"))
        assert.strictEqual(error.reason, "NoBackend")
        assert.lengthOf(slots.granted, 0)
      }).pipe(Effect.provide(over(1)))),

    check("gives the lease back as ignored when the use fails, dies or is interrupted", () =>
      Effect.gen(function* () {
        const slots = yield* MockLeases.MockSlots
        yield* Effect.exit(enter("dies", Effect.die("boom")))
        const fiber = yield* Effect.forkChild(enter("leaves", Effect.never), { startImmediately: true })
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(slots.released.map((outcome) => outcome.kind), ["ignored", "ignored"])
        assert.strictEqual(slots.free(), 1)
      }).pipe(Effect.provide(over(1)))),

    // Invariants 2 and 4.
    property(
      "gives exactly one answer to each and leaks nothing, whatever the history",
      { slots: upTo(3), steps: Schema.Array(Schema.Tuple([what, upTo(30)])) },
      ({ slots, steps }) => Effect.provide(play(slots, steps), over(slots)),
      { runs: 1000, size: 80, seed: "admission" },
    ),
  ]
}
