/**
 * What an `Admission` that queues must do: turns between tenants, classes that age, deadlines, bounds. Over generated histories.
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

/** What a queue is told, in bytes and milliseconds. @category models @since 0.1.0 */
export interface Bounds {
  readonly queueCapacity: number
  readonly queueBytes: number
  readonly queueMillis: number
  readonly ageMillis: number
  readonly tenantWeights: Readonly<Record<string, number>>
}

const wide: Bounds = { queueCapacity: 1000, queueBytes: 1e9, queueMillis: 1e9, ageMillis: 1e9, tenantWeights: {} }
/** A deadline is seen at most so late, in milliseconds. */
const late = 100
const arbitrary = { runs: 1000, size: 80 }
const count = (waiting: ReadonlyArray<Waiting>, tenant: string) =>
  waiting.filter((one) => one.demand.tenant === tenant).length

const alike = (step: Step): Step | undefined =>
  step.do === "arrive"
    ? { ...step, priority: "default", model: 0 }
    : step.do === "wait" || step.do === "load" || step.do === "raise"
    ? undefined
    : step

/** Services of each of two tenants since both have been waiting. */
const turns = (weights: Readonly<Record<string, number>>): Pick<Rules, "granted" | "after"> => {
  const since = new Map<string, number>()
  const names = ["t0", "t1", "t2", "t3"]
  return {
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
    // Who does not wait has no claim.
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

/** `layer` makes a queue with these bounds. @category contracts @since 0.1.0 */
export const contract = (
  layer: (bounds: Bounds) => Layer.Layer<Admission, unknown, Leases>,
): ReadonlyArray<Check> => {
  const histories = (what: string, bounds: Partial<Bounds>, rules: () => Omit<Rules, "queueMillis">) =>
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
    histories("tenants take turns", {}, () => ({ only: alike, ...turns({}) })),

    histories("tenants take turns by weight", { tenantWeights: weights }, () => ({ only: alike, ...turns(weights) })),

    histories("a better class goes first, and waiting makes a class better", { ageMillis: 2000 }, () => ({
      only: (step) => step.do === "arrive" ? { ...step, tenant: 0, model: 0 } : step.do === "load" ? undefined : step,
      granted: (one, waiting, now) => {
        const rank = ({ demand, priority }: Waiting) =>
          Math.max(0, classes.indexOf(priority) - Math.floor((now - demand.since) / 2000))
        for (const other of waiting) {
          const first = rank(one) - rank(other) || one.demand.since - other.demand.since || one.order - other.order
          assert.isBelow(first, 0, `${one.id} went before ${other.id}`)
        }
      },
    })),

    histories(
      "a deadline that has passed is a 504, and nothing else is",
      { queueMillis: 4000, ageMillis: 2000 },
      () => ({
        // Of one tenant only: what waits for a load is looked at as a whole.
        only: (step) => step.do === "arrive" ? { ...step, model: 0 } : step,
        granted: (one, _, now) => assert.isBelow(now, one.deadline + late),
        refused: (one, why, _, now) => {
          assert.strictEqual(why.status, 504)
          assert.isAtLeast(now, one.deadline)
        },
        after: (waiting, _, now) => {
          for (const { deadline, id } of waiting) assert.isBelow(now, deadline + late, id)
        },
      }),
    ),

    histories("bounds hold, and whoever is shed had no claim to a place", bounds, () => ({
      after: (waiting, queues) => {
        const bytes = waiting.reduce((sum, { demand }) => sum + demand.bytes, 0)
        assert.isAtMost(bytes, bounds.queueBytes)
        assert.strictEqual(queues.reduce((sum, queue) => sum + queue.bytes, 0), bytes)
        for (const { depth, model, tenants } of queues) {
          const there = waiting.filter(({ demand }) => demand.model.key === model)
          assert.isAtMost(depth, bounds.queueCapacity)
          assert.strictEqual(depth, there.length)
          for (const { depth, tenant } of tenants) assert.strictEqual(depth, count(there, tenant))
        }
      },
      refused: (one, why, waiting) => {
        assert.strictEqual(why.reason, "QueueFull")
        assert.isAtLeast(why.retryAfter!, 1)
        const there = waiting.filter(({ demand }) => demand.model === one.demand.model)
        const bytes = waiting.reduce((sum, { demand }) => sum + demand.bytes, 0)
        if (why.message.includes("bytes")) return assert.isAbove(bytes, bounds.queueBytes)
        // It is still counted among them, and so is whoever took its place.
        assert.strictEqual(there.length, bounds.queueCapacity + 1)
        const own = count(there, one.demand.tenant)
        for (const { demand } of there) assert.isAtMost(count(there, demand.tenant) - 1, own)
      },
    })),
  ]
}
