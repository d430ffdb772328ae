/** Plays a generated history of arrivals and finished uses against an `Admission`, and keeps its own account of who waits. */
import { Cause, Deferred, Effect, Exit, Fiber, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Admission } from "../../services/Admission.ts"
import { Leases } from "../../services/Leases.ts"
import { success } from "../../services/Outcome.ts"
import type { Refusal } from "../../services/Refusal.ts"
import type { Priority } from "../../services/Priority.ts"
import type { Demand } from "../../services/RoutedRequest.ts"
import * as assert from "../assert.ts"
import { demandFor, modelOn } from "../demands.ts"
import * as MockLeases from "../mocks/MockLeases.ts"

const small = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
const arrive = Schema.Struct({
  do: Schema.Literal("arrive"),
  tenant: small(3),
  priority: Schema.Literals(["interactive", "default", "batch"]),
  bytes: small(600),
  model: small(1),
})

/** One thing that happens. */
export const Step = Schema.Union([
  // Twice: only full queues tell anything.
  arrive,
  arrive,
  Schema.Struct({ do: Schema.Literal("finish") }),
  Schema.Struct({ do: Schema.Literal("leave"), which: small(30) }),
  Schema.Struct({ do: Schema.Literal("wait"), seconds: small(3) }),
  Schema.Struct({ do: Schema.Literal("load"), loading: Schema.Boolean }),
  Schema.Struct({ do: Schema.Literal("raise"), which: small(30) }),
])
export type Step = typeof Step.Type

/** One that waits, as this account has it. */
export interface Waiting {
  readonly id: string
  readonly demand: Demand
  readonly order: number
  readonly fiber: Fiber.Fiber<string, Refusal>
  readonly done: Deferred.Deferred<void>
  priority: Priority
  deadline: number
}

export interface Rules {
  /** Which steps count, and what becomes of them. */
  readonly only?: (step: Step) => Step | undefined
  readonly queueMillis: number
  /** One has just got its lease; `waiting` are the others. */
  readonly granted?: (one: Waiting, waiting: ReadonlyArray<Waiting>, now: number) => void
  /** One was refused while it waited, or at once. */
  readonly refused?: (one: Waiting, why: Refusal, waiting: ReadonlyArray<Waiting>, now: number) => void
  /** After each step. */
  readonly after?: (
    waiting: ReadonlyArray<Waiting>,
    queues: ReturnType<Admission["Service"]["queues"]>,
    now: number,
  ) => void
}

const models = [modelOn("m:latest", "mock"), modelOn("other:latest", "mock")]
/** Lets woken fibers run. */
const turns = Effect.repeat(Effect.yieldNow, { times: 5 })

export const play = (layer: Layer.Layer<Admission, unknown, Leases>, steps: ReadonlyArray<Step>, rules: Rules) =>
  Effect.gen(function* () {
    const slots = yield* MockLeases.MockSlots
    const leases = yield* Leases
    const admission = yield* Admission
    const running: Array<Waiting> = []
    let waiting: Array<Waiting> = []
    let seen = 0
    let count = 0
    let loading = false
    const time = Effect.clockWith((clock) => clock.currentTimeMillis)

    const account = Effect.gen(function* () {
      yield* turns
      const now = yield* time
      for (; seen < slots.granted.length; seen++) {
        const one = waiting.find(({ id }) => id === slots.granted[seen])!
        waiting = waiting.filter((other) => other !== one)
        running.push(one)
        rules.granted?.(one, waiting, now)
      }
      for (const one of waiting.slice()) {
        const exit = one.fiber.pollUnsafe()
        if (exit === undefined || Exit.isSuccess(exit)) continue
        const before = waiting
        waiting = waiting.filter((other) => other !== one)
        const why = Cause.findErrorOption(exit.cause)
        if (why._tag === "Some") rules.refused?.(one, why.value, before, now)
      }
    })

    const enter = Effect.fnUntraced(function* (step: typeof arrive.Type) {
      const now = yield* time
      const id = `r${count++}`
      const demand = demandFor(models[step.model]!, {
        id,
        since: now,
        tenant: `t${step.tenant}`,
        priority: step.priority,
        bytes: step.bytes,
      })
      const done = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(
        admission.admit(
          demand,
          () => leases.commit([], demand),
          (lease) => Effect.andThen(Deferred.await(done), Effect.sync(() => (lease.release(success), id))),
        ),
        { startImmediately: true },
      )
      const deadline = now + rules.queueMillis
      waiting.push({ id, demand, order: count, fiber, done, priority: step.priority, deadline })
    })

    for (const given of steps) {
      const step = rules.only === undefined ? given : rules.only(given)
      if (step === undefined) continue
      if (step.do === "arrive") yield* enter(step)
      else if (step.do === "finish") {
        yield* Deferred.succeed((running.shift() ?? { done: yield* Deferred.make<void>() }).done, undefined)
      } else if (step.do === "leave" && waiting.length > 0) {
        waiting[step.which % waiting.length]!.fiber.interruptUnsafe()
      } else if (step.do === "wait") {
        if (loading) { for (const one of waiting) one.deadline += step.seconds * 1000 }
        yield* TestClock.adjust(step.seconds * 1000)
      } else if (step.do === "load") {
        loading = step.loading
        slots.answer(loading ? "loading" : undefined)
      } else if (step.do === "raise" && waiting.length > 0) {
        // Somebody joins who may wait longer, and has a better class.
        const one = waiting[step.which % waiting.length]!
        one.demand.deadline = one.deadline = one.deadline + 1000
        one.demand.priority = one.priority = "interactive"
        yield* TestClock.adjust(1000)
        if (loading) { for (const other of waiting) other.deadline += 1000 }
      }
      yield* account
      rules.after?.(waiting, admission.queues(), yield* time)
    }
    // Everybody gets an answer in the end.
    slots.answer(undefined)
    yield* account
    for (let i = 0; i < 10_000 && waiting.length + running.length > 0; i++) {
      const one = running.shift()
      if (one !== undefined) yield* Deferred.succeed(one.done, undefined)
      else yield* TestClock.adjust(1000)
      yield* account
    }
    assert.lengthOf(waiting, 0)
    assert.lengthOf(admission.queues(), 0)
    assert.strictEqual(leases.count(), 0)
  }).pipe(Effect.provide(Layer.provideMerge(layer, MockLeases.layer(1))))
