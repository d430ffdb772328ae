/**
 * What an `Admission` with a queue must do: turns between tenants, classes that age, deadlines and bounds. Over
 * generated histories.
 *
 * @since 0.1.0
 */
import { type Layer, Schema } from "effect"
import type { Admission } from "../../services/Admission.ts"
import type { Leases } from "../../services/Leases.ts"
import type { Priority } from "../../services/Priority.ts"
import * as assert from "../assert.ts"
import { type Check, property } from "../checks.ts"
import { play, type Rules, Step, type Waiting } from "./queueHistory.ts"

/** The configuration of a queue, in bytes and milliseconds. @category models @since 0.1.0 */
export interface Bounds {
  readonly queueCapacity: number
  readonly queueBytes: number
  readonly queueMillis: number
  readonly ageMillis: number
  readonly tenantWeights: Readonly<Record<string, number>>
}

const wide: Bounds = { queueCapacity: 1000, queueBytes: 1e9, queueMillis: 1e9, ageMillis: 1e9, tenantWeights: {} }
/** Milliseconds by which an eviction may be late. */
const late = 100
const arbitrary = { runs: 1000, size: 80 }
const count = (waiting: ReadonlyArray<Waiting>, tenant: string) =>
  waiting.filter((one) => one.demand.tenant === tenant).length

type Claims = Omit<Rules, "queueMillis">

/** Requests of one model and class, without time and loads. */
const alike = (step: Step): Step | undefined =>
  step.do === "arrive"
    ? { ...step, priority: "default", model: 0 }
    : step.do === "wait" || step.do === "load" || step.do === "raise"
    ? undefined
    : step

/** Counts the turns of each pair of tenants while both wait. Neither gets ahead by more than a turn of each. */
const turns = (weights: Readonly<Record<string, number>>): Claims => {
  const since = new Map<string, number>()
  const names = ["t0", "t1", "t2", "t3"]
  return {
    only: alike,
    granted: ({ demand: { tenant } }, waiting) => {
      const weight = weights[tenant] ?? 1
      for (const other of names) {
        if (other === tenant || count(waiting, other) === 0) continue
        const ahead = (since.get(`${tenant} ${other}`) ?? 0) + 1 / weight
        since.set(`${tenant} ${other}`, ahead)
        since.set(`${other} ${tenant}`, -ahead)
        assert.isAtMost(ahead, 1 / weight + 1 / (weights[other] ?? 1) + 1e-9, `${tenant} is ahead of ${other}`)
      }
    },
    // A tenant without a request that waits has no claim.
    after: (waiting) => {
      for (const one of names) {
        if (count(waiting, one) > 0) continue
        for (const other of names) {
          since.delete(`${one} ${other}`)
          since.delete(`${other} ${one}`)
        }
      }
    },
  }
}

const classes: ReadonlyArray<Priority> = ["interactive", "default", "batch"]

const byClass = (ageMillis: number): Claims => ({
  only: (step) => step.do === "arrive" ? { ...step, tenant: 0, model: 0 } : step.do === "load" ? undefined : step,
  granted: (one, waiting, now) => {
    const rank = ({ demand, priority }: Waiting) =>
      Math.max(0, classes.indexOf(priority) - Math.floor((now - demand.since) / ageMillis))
    for (const other of waiting) {
      const first = rank(one) - rank(other) || one.demand.since - other.demand.since || one.order - other.order
      assert.isBelow(first, 0, `${one.id} went before ${other.id}`)
    }
  },
})

const deadlines = (): Claims => ({
  // Of one model, since a load moves the deadlines of all requests in this account.
  only: (step) => step.do === "arrive" ? { ...step, model: 0 } : step,
  granted: (one, _, now) => assert.isBelow(now, one.deadline + late),
  refused: (one, why, _, now) => {
    assert.strictEqual(why.status, 504)
    assert.isAtLeast(now, one.deadline)
  },
  after: (waiting, _, now) => {
    for (const { deadline, id } of waiting) assert.isBelow(now, deadline + late, id)
  },
})

const bounded = (bounds: Pick<Bounds, "queueBytes" | "queueCapacity">): Claims => ({
  after: (waiting, queues) => {
    const bytes = waiting.reduce((sum, { demand }) => sum + demand.bytes, 0)
    assert.isAtMost(bytes, bounds.queueBytes)
    assert.strictEqual(queues.reduce((sum, queue) => sum + queue.bytes, 0), bytes)
    for (const { depth, model, tenants } of queues) {
      const here = waiting.filter(({ demand }) => demand.model.key === model)
      assert.isAtMost(depth, bounds.queueCapacity)
      assert.strictEqual(depth, here.length)
      for (const { depth, tenant } of tenants) assert.strictEqual(depth, count(here, tenant))
    }
  },
  refused: (one, why, waiting) => {
    assert.strictEqual(why.reason, "QueueFull")
    assert.isAtLeast(why.retryAfter!, 1)
    const here = waiting.filter(({ demand }) => demand.model.key === one.demand.model.key)
    const bytes = waiting.reduce((sum, { demand }) => sum + demand.bytes, 0)
    if (why.message.includes("bytes")) return assert.isAbove(bytes, bounds.queueBytes)
    // The request that was shed is still counted, and so is one that took its place.
    assert.strictEqual(here.length, bounds.queueCapacity + 1)
    const own = count(here, one.demand.tenant)
    for (const { demand } of here) assert.isAtMost(count(here, demand.tenant) - 1, own)
  },
})

/** `layer` makes a queue with these bounds. @category contracts @since 0.1.0 */
export const contract = (
  layer: (bounds: Bounds) => Layer.Layer<Admission, unknown, Leases>,
): ReadonlyArray<Check> => {
  const histories = (what: string, bounds: Partial<Bounds>, rules: () => Claims) =>
    property(
      what,
      { steps: Schema.Array(Step) },
      ({ steps }) => {
        const all = { ...wide, ...bounds }
        return play(layer(all), steps, { queueMillis: all.queueMillis, ...rules() })
      },
      { ...arbitrary, seed: what },
    )

  const weights = { t0: 3, t1: 0.5 }
  const bounds = { queueCapacity: 6, queueBytes: 2000, ageMillis: 5000 }
  return [
    // Invariant 9.
    histories("tenants take turns", {}, () => turns({})),
    histories("tenants take turns by weight", { tenantWeights: weights }, () => turns(weights)),
    histories(
      "a better class goes first, and waiting makes a class better",
      { ageMillis: 2000 },
      () => byClass(2000),
    ),
    histories(
      "a deadline that has passed is a 504, and nothing else is",
      { queueMillis: 4000, ageMillis: 2000 },
      deadlines,
    ),
    histories("bounds hold, and a request that is shed had no claim to a place", bounds, () => bounded(bounds)),
  ]
}
