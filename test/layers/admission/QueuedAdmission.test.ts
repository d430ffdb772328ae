import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import * as BoundedAdmission from "../../../src/layers/admission/BoundedAdmission.ts"
import * as QueuedAdmission from "../../../src/layers/admission/QueuedAdmission.ts"
import { Admission } from "../../../src/services/Admission.ts"
import * as Host from "../../../src/services/Host.ts"
import { type Commit, Leases } from "../../../src/services/Leases.ts"
import type { Demand } from "../../../src/services/RoutedRequest.ts"
import { contract, enter } from "../../../src/testing/contracts/Admission.ts"
import * as MockLeases from "../../../src/testing/mocks/MockLeases.ts"
import { holds } from "../../support/checks.ts"
import { demandFor, modelOn } from "../../support/demands.ts"

const { Waiter } = QueuedAdmission

/** Last in, first out; with some functions replaced. */
const stack = (changed?: Partial<QueuedAdmission.Queue>) => (): QueuedAdmission.Queue => {
  const waiters: Array<QueuedAdmission.Waiter> = []
  return {
    add: (waiter) => waiters.unshift(waiter),
    remove: (waiter) => waiters.splice(waiters.indexOf(waiter), 1),
    order: () => waiters.slice(),
    ...changed,
  }
}

const made = (options?: Partial<QueuedAdmission.Options>) =>
  Layer.effect(Admission, QueuedAdmission.make({ queue: stack(), ...options }))

holds("Admission contract: last in, first out", contract(made({ queueCapacity: 4 })))
holds(
  "Admission contract: last in, first out, and the oldest gives way",
  contract(made({
    queue: () => {
      const queue = stack()()
      return { ...queue, displaced: () => Array.from(queue.order()).at(-1) }
    },
    queueCapacity: 4,
  })),
)

const over = (admission: Layer.Layer<Admission, never, Leases>, slots = 0) =>
  Layer.provideMerge(admission, MockLeases.layer(slots))

const ask = Effect.fnUntraced(function* (
  options?: Partial<Demand>,
  instead: () => Exclude<Commit, object> | undefined = () => undefined,
) {
  const admission = yield* Admission
  const leases = yield* Leases
  const demand = Object.assign(demandFor(modelOn("m:latest", "mock")), options)
  return yield* Effect.forkChild(
    admission.admit(demand, () => instead() ?? leases.commit([], demand), () => Effect.succeed(demand.id)),
    { startImmediately: true },
  )
})

describe("QueuedAdmission", () => {
  it.effect("admits in the order of its queue", () =>
    Effect.gen(function* () {
      const slots = yield* MockLeases.MockSlots
      const fibers = yield* Effect.forEach(["a", "b", "c"], (id) => ask({ id }))
      slots.setFree(1)
      yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(slots.granted, ["c", "b", "a"])
    }).pipe(Effect.provide(over(made()))))

  it.effect("sheds the newcomer when the queue is full, with the depth and the expected wait", () =>
    Effect.gen(function* () {
      yield* ask({ id: "a" })
      yield* ask({ id: "b" })
      const error = yield* Effect.flip(enter("c"))
      assert.strictEqual(error.reason, "QueueFull")
      assert.deepStrictEqual(error.queue, { depth: 2, waitMillis: 3000 })
      assert.strictEqual(error.retryAfter, 3)
    }).pipe(Effect.provide(over(made({ queueCapacity: 2 })))))

  it.effect("evicts at the deadline, and says the place in the order of the queue", () =>
    Effect.gen(function* () {
      const admission = yield* Admission
      const leases = yield* Leases
      const demand = demandFor(modelOn("m:latest", "mock"))
      const fiber = yield* Effect.forkChild(
        Effect.flip(admission.admit(demand, () => leases.commit([], demand), () => Effect.void)),
        { startImmediately: true },
      )
      yield* ask({ id: "later" })
      assert.strictEqual(demand.waiting?.place(0).position, 2)
      const [queue] = admission.queues()
      assert.deepStrictEqual(queue?.classes, { interactive: 0, default: 2, batch: 0 })
      assert.deepStrictEqual(queue?.tenants, [{ tenant: "default", depth: 2 }])
      yield* TestClock.adjust(5100)
      assert.strictEqual((yield* Fiber.join(fiber)).status, 504)
      assert.lengthOf(admission.queues(), 0)
    }).pipe(Effect.provide(over(made({ queueMillis: 5000 })))))

  it.effect("keeps in a waiter what the queue wants to keep, and asks models in the order of their ranks", () =>
    Effect.gen(function* () {
      const slots = yield* MockLeases.MockSlots
      yield* ask({ id: "cheap", bytes: 1 })
      yield* ask({ id: "dear", bytes: 9, model: modelOn("other:latest", "mock") })
      slots.setFree(1)
      assert.deepStrictEqual(slots.granted, ["dear", "cheap"])
    }).pipe(Effect.provide(over(Layer.effect(
      Admission,
      QueuedAdmission.makeWith((arrival) => new Priced(arrival), {
        queue: () => {
          const waiters = new Set<Priced>()
          return {
            add: (waiter) => waiters.add(waiter),
            remove: (waiter) => waiters.delete(waiter),
            order: () => [...waiters].sort((a, b) => b.price - a.price),
          }
        },
        rank: ({ price }) => -price,
      }),
    )))))

  it("refuses bounds that are not whole numbers", () => {
    assert.throws(() => made({ queueCapacity: -1 }), /QueuedAdmission: queueCapacity .* got -1/)
    assert.throws(() => made({ queueMillis: 1.5, name: "Mine" }), /Mine: queueMillis .* got 1.5/)
  })

  it.effect("is not built where nothing is kept between requests", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Layer.build(over(made({ name: "Mine" }))).pipe(Effect.provide(Host.ephemeral)))
      assert.match(String(Exit.isFailure(exit) && exit.cause), /Mine keeps state in memory/)
    }))
})

class Priced extends Waiter {
  get price(): number {
    return this.demand.bytes
  }
}

/** Throws once `armed` has been set, and only once. */
class Mine {
  armed = false
  step(): void {
    if (!this.armed) return
    this.armed = false
    throw new Error("once")
  }
}

/** A queue in which one function throws once. */
const mined = (mine: Mine, name: "remove" | "order" | "refresh" | "isUniform") =>
  made({
    queue: () => {
      const queue = stack()()
      return {
        ...queue,
        [name]: (waiter: QueuedAdmission.Waiter, admitted: boolean) => {
          mine.step()
          return name === "order" ? queue.order() : name === "remove" ? queue.remove(waiter, admitted) : undefined
        },
      }
    },
  })

/** Many requests come and go around a throw; each is answered and no lease is lost. */
const survives = (
  mine: Mine,
  admission: Layer.Layer<Admission, never, Leases>,
  options: (i: number) => Partial<Demand> = () => ({}),
) =>
  Effect.gen(function* () {
    const slots = yield* MockLeases.MockSlots
    const leases = yield* Leases
    let loading = true
    const fibers = yield* Effect.forEach(
      [0, 1, 2, 3],
      (i) => ask({ id: `${i}`, ...options(i) }, () => i < 2 && loading ? "loading" : undefined),
    )
    mine.armed = true
    slots.setFree(2)
    yield* TestClock.adjust(500)
    assert.isFalse(mine.armed, "nothing has thrown")
    loading = false
    slots.setFree(2)
    yield* TestClock.adjust(500)
    fibers.push(yield* ask({ id: "later" }))
    const exits = yield* Effect.forEach(fibers, Fiber.await)
    assert.strictEqual(leases.count(), 0)
    assert.strictEqual(slots.free(), 2)
    assert.lengthOf((yield* Admission).queues(), 0)
    return exits.map((exit) => Exit.isSuccess(exit) ? exit.value : "died")
  }).pipe(Effect.timeout("1 minute"), Effect.provide(over(admission)), Effect.provide(Logger.layer([])))

describe("a throw leaves nothing behind", () => {
  for (const name of ["remove", "order", "refresh", "isUniform"] as const) {
    it.effect(`in \`${name}\` of a queue`, () =>
      Effect.gen(function* () {
        const mine = new Mine()
        assert.deepStrictEqual(yield* survives(mine, mined(mine, name)), ["0", "1", "2", "3", "later"])
      }))
  }

  it.effect("in `isUniform` when a request joins others", () =>
    Effect.gen(function* () {
      const mine = new Mine()
      const ends = yield* Effect.gen(function* () {
        const slots = yield* MockLeases.MockSlots
        const leases = yield* Leases
        let loading = true
        const first = yield* ask({ id: "first" }, () => loading ? "loading" : undefined)
        mine.armed = true
        const second = yield* ask({ id: "second" })
        assert.isFalse(mine.armed, "nothing has thrown")
        loading = false
        slots.setFree(2)
        yield* TestClock.adjust(500)
        const exits = yield* Effect.forEach([first, second], Fiber.await)
        assert.strictEqual(leases.count(), 0)
        assert.lengthOf((yield* Admission).queues(), 0)
        return exits.map((exit) => Exit.isSuccess(exit) ? exit.value : "died")
      }).pipe(
        Effect.timeout("1 minute"),
        Effect.provide(over(mined(mine, "isUniform"))),
        Effect.provide(Logger.layer([])),
      )
      assert.deepStrictEqual(ends, ["first", "second"])
    }))

  it.effect("in the middle of an order", () =>
    Effect.gen(function* () {
      const mine = new Mine()
      const queue = () => {
        const base = stack()()
        return {
          ...base,
          *order() {
            for (const waiter of base.order()) {
              yield waiter
              mine.step()
            }
          },
        }
      }
      assert.deepStrictEqual(yield* survives(mine, made({ queue })), ["0", "1", "2", "3", "later"])
    }))

  it.effect("in the rank of a request", () =>
    Effect.gen(function* () {
      const mine = new Mine()
      const rank = () => (mine.step(), 0)
      const other = modelOn("other:latest", "mock")
      const ends = yield* survives(mine, made({ rank }), (i) => i % 2 === 0 ? {} : { model: other })
      assert.deepStrictEqual(ends, ["0", "1", "2", "3", "later"])
    }))

  const admissions = { "last in, first out": made(), BoundedAdmission: BoundedAdmission.layer() }
  for (const [name, admission] of Object.entries(admissions)) {
    it.effect(`in a demand that is read: ${name}`, () =>
      Effect.gen(function* () {
        const mine = new Mine()
        const excluded = {
          get length() {
            mine.step()
            return 0
          },
        }
        const ends = yield* survives(mine, admission, (i) => ({
          tenant: name === "BoundedAdmission" ? `t${i}` : "one",
          ...(i === 1 ? { excluded: new Proxy([], { get: (_, key) => Reflect.get(excluded, key) }) } : {}),
        }))
        assert.isAtMost(ends.filter((end) => end === "died").length, 1)
        assert.includeMembers(ends, ["2", "3", "later"])
      }))

    it.effect(`in a commit, which ends its own request: ${name}`, () =>
      Effect.gen(function* () {
        const slots = yield* MockLeases.MockSlots
        let throws = false
        const first = yield* ask({ id: "first" }, () => {
          if (throws) throw new Error("a picker")
          return undefined
        })
        const second = yield* ask({ id: "second" })
        throws = true
        slots.setFree(1)
        assert.strictEqual(yield* Fiber.join(second), "second")
        assert.match(String(yield* Effect.flip(Effect.sandbox(Fiber.join(first)))), /a picker/)
        assert.strictEqual(yield* Fiber.join(yield* ask({ id: "later" })), "later")
      }).pipe(Effect.provide(over(admission))))
  }

  it.effect("in an order that always throws: each request is evicted at its deadline, and the throw is logged", () =>
    Effect.gen(function* () {
      const slots = yield* MockLeases.MockSlots
      const logged: Array<unknown> = []
      const log = Logger.layer([Logger.make(({ message }) => void logged.push(message))])
      const queue = stack({
        order: () => {
          throw new Error("always")
        },
      })
      yield* Effect.gen(function* () {
        const fibers = yield* Effect.forEach(["a", "b"], (id) => ask({ id }))
        slots.setFree(1)
        yield* TestClock.adjust(5100)
        for (const fiber of fibers) assert.strictEqual((yield* Effect.flip(Fiber.join(fiber))).status, 504)
        assert.lengthOf((yield* Admission).queues(), 0)
      }).pipe(Effect.provide(Layer.provide(made({ queue, queueMillis: 5000 }), log)))
      assert.include(String(logged[0]), "a function of an admission's queue threw")
    }).pipe(Effect.provide(MockLeases.layer(0))))

  it.effect("in a use that is interrupted: its lease goes to the next request", () =>
    Effect.gen(function* () {
      const slots = yield* MockLeases.MockSlots
      const hold = yield* Deferred.make<void>()
      const first = yield* Effect.forkChild(enter("first", Deferred.await(hold)), { startImmediately: true })
      const second = yield* ask({ id: "second" })
      slots.setFree(1)
      first.interruptUnsafe()
      assert.strictEqual(yield* Fiber.join(second), "second")
      assert.strictEqual(slots.free(), 1)
    }).pipe(Effect.provide(over(made()))))
})
