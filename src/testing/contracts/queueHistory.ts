/**
 * Plays a generated history of arrivals and finished uses against an `Admission`, and keeps an account of what waits.
 */
import { Cause, Deferred, Effect, Exit, type Fiber, Layer, Schema } from "effect"
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
import { allAnswered, tracked } from "../outstanding.ts"
import { admitOf } from "./Admission.ts"

const small = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
const arrive = Schema.Struct({
  do: Schema.Literal("arrive"),
  tenant: small(3),
  priority: Schema.Literals(["interactive", "default", "batch"]),
  bytes: small(600),
  model: small(1),
})

/** One step of a history. */
export const Step = Schema.Union([
  // Twice, so that queues fill up: only full ones show anything.
  arrive,
  arrive,
  Schema.Struct({ do: Schema.Literal("finish") }),
  Schema.Struct({ do: Schema.Literal("leave"), which: small(30) }),
  Schema.Struct({ do: Schema.Literal("wait"), seconds: small(3) }),
  Schema.Struct({ do: Schema.Literal("load"), loading: Schema.Boolean }),
  Schema.Struct({ do: Schema.Literal("raise"), which: small(30) }),
])
export type Step = typeof Step.Type

/** A request that waits, by the account of this history. */
export interface Waiting {
  readonly id: string
  /** What was called, for what never got an answer. */
  readonly name: string
  readonly demand: Demand
  /** Of arrival. */
  readonly order: number
  readonly fiber: Fiber.Fiber<string, Refusal>
  /** Ends the use of the lease. */
  readonly done: Deferred.Deferred<void>
  priority: Priority
  deadline: number
}

export interface Rules {
  /** Replaces a step; `undefined` leaves it out. Defaults to all steps. */
  readonly only?: (step: Step) => Step | undefined
  readonly queueMillis: number
  /** A request has just got its lease. `waiting` are the others. */
  readonly granted?: (one: Waiting, waiting: ReadonlyArray<Waiting>, now: number) => void
  /** A request was refused, at once or while it waited. `waiting` are all, this one included. */
  readonly refused?: (one: Waiting, why: Refusal, waiting: ReadonlyArray<Waiting>, now: number) => void
  /** Called after each step. */
  readonly after?: (
    waiting: ReadonlyArray<Waiting>,
    queues: ReturnType<Admission["Service"]["queues"]>,
    now: number,
  ) => void
}

const models = [modelOn("m:latest", "mock"), modelOn("other:latest", "mock")]
/** Lets woken fibers run. */
const turns = Effect.repeat(Effect.yieldNow, { times: 5 })
const currentTime = Effect.clockWith((clock) => clock.currentTimeMillis)

/** Once the history is over: in each turn a use ends or, without one, a second passes. */
const endTurns = 300

/** Which requests wait and which run, by what their fibers and the leases show. */
class Account {
  readonly all: Array<Waiting> = []
  readonly running: Array<Waiting> = []
  waiting: Array<Waiting> = []
  /** Whether commits say that a load is under way. */
  loading = false
  private granted = 0
  private readonly rules: Rules
  private readonly slots: MockLeases.MockSlots["Service"]
  constructor(rules: Rules, slots: MockLeases.MockSlots["Service"]) {
    this.rules = rules
    this.slots = slots
  }

  add(one: Waiting): void {
    this.all.push(one)
    this.waiting.push(one)
  }

  /** Applies the rules to what happened since the last call. */
  update(now: number): void {
    for (; this.granted < this.slots.granted.length; this.granted++) {
      const one = this.waiting.find(({ id }) => id === this.slots.granted[this.granted])!
      this.waiting = this.waiting.filter((other) => other !== one)
      this.running.push(one)
      this.rules.granted?.(one, this.waiting, now)
    }
    for (const one of this.waiting.slice()) {
      const exit = one.fiber.pollUnsafe()
      if (exit === undefined || Exit.isSuccess(exit)) continue
      const before = this.waiting
      this.waiting = this.waiting.filter((other) => other !== one)
      const why = Cause.findErrorOption(exit.cause)
      if (why._tag === "Some") this.rules.refused?.(one, why.value, before, now)
    }
  }

  /** Lets time pass. Time spent waiting for a load moves the deadlines. */
  pass(millis: number): Effect.Effect<void> {
    if (this.loading) { for (const one of this.waiting) one.deadline += millis }
    return TestClock.adjust(millis)
  }

  /** Lets the use that has run longest end, if one runs. */
  finish(): Effect.Effect<unknown> {
    const one = this.running.shift()
    return one === undefined ? Effect.void : Deferred.succeed(one.done, undefined)
  }
}

const enter = Effect.fnUntraced(function* (step: typeof arrive.Type, { queueMillis }: Rules, account: Account) {
  const admission = yield* Admission
  const leases = yield* Leases
  const now = yield* currentTime
  const order = account.all.length
  const id = `r${order}`
  const demand = demandFor(models[step.model]!, {
    id,
    since: now,
    tenant: `t${step.tenant}`,
    priority: step.priority,
    bytes: step.bytes,
  })
  const name = admitOf(demand)
  const done = yield* Deferred.make<void>()
  const admitted = admission.admit(
    demand,
    () => leases.commit([], demand),
    (lease) => Effect.andThen(Deferred.await(done), Effect.sync(() => (lease.release(success), id))),
  )
  const fiber = yield* Effect.forkChild(tracked(name, admitted), { startImmediately: true })
  account.add({ id, name, demand, order, fiber, done, priority: step.priority, deadline: now + queueMillis })
})

const take = Effect.fnUntraced(function* (step: Step, rules: Rules, account: Account) {
  const { waiting } = account
  if (step.do === "arrive") yield* enter(step, rules, account)
  else if (step.do === "finish") yield* account.finish()
  else if (step.do === "leave" && waiting.length > 0) waiting[step.which % waiting.length]!.fiber.interruptUnsafe()
  else if (step.do === "wait") yield* account.pass(step.seconds * 1000)
  else if (step.do === "load") {
    account.loading = step.loading
    const slots = yield* MockLeases.MockSlots
    slots.answer(step.loading ? "loading" : undefined)
  } else if (step.do === "raise" && waiting.length > 0) {
    // As when a request of a better class, which may wait longer, joins the flight of this one.
    const one = waiting[step.which % waiting.length]!
    one.demand.deadline = one.deadline = one.deadline + 1000
    one.demand.priority = one.priority = "interactive"
    yield* account.pass(1000)
  }
})

export const play = (layer: Layer.Layer<Admission, unknown, Leases>, steps: ReadonlyArray<Step>, rules: Rules) =>
  Effect.gen(function* () {
    const slots = yield* MockLeases.MockSlots
    const leases = yield* Leases
    const admission = yield* Admission
    const account = new Account(rules, slots)
    const update = Effect.gen(function* () {
      yield* turns
      account.update(yield* currentTime)
    })
    for (const given of steps) {
      const step = rules.only === undefined ? given : rules.only(given)
      if (step === undefined) continue
      yield* take(step, rules, account)
      yield* update
      rules.after?.(account.waiting, admission.queues(), yield* currentTime)
    }
    // Every request gets an answer in the end, and nothing of it is left.
    account.loading = false
    slots.answer(undefined)
    yield* update
    const turn = Effect.suspend(() => account.running.length > 0 ? account.finish() : TestClock.adjust(1000))
    yield* allAnswered(account.all, Effect.andThen(turn, update), endTurns)
    assert.lengthOf(account.waiting, 0)
    assert.lengthOf(admission.queues(), 0)
    assert.strictEqual(leases.count(), 0)
  }).pipe(Effect.provide(Layer.provideMerge(layer, MockLeases.layer(1))))
