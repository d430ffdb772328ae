/** What a queue of many tenants looks at: positions, evictions and joins must not take a look at every tenant. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as BoundedAdmission from "../../../src/layers/admission/BoundedAdmission.ts"
import { ClassQueues } from "../../../src/layers/admission/classQueues.ts"
import { FairQueue, Flow, RankedWaiter } from "../../../src/layers/admission/fairQueue.ts"
import { QueueSizes } from "../../../src/layers/admission/queueSizes.ts"
import { Admission } from "../../../src/services/Admission.ts"
import { type Commit, Leases } from "../../../src/services/Leases.ts"
import { demandFor, modelOn } from "../../../src/testing/demands.ts"
import { elapse } from "../../../src/testing/elapse.ts"
import { partly } from "../../support/web.ts"

const model = modelOn("m:latest")
const numbers = (seed: number) => {
  let state = seed
  return (below: number) => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % below
}

let arrivals = 0
const waiterOf = (tenant: string, rank = 2) => {
  const demand = demandFor(model, { tenant })
  const home = { loading: false, round: 0, place: () => ({ position: 0, waitMillis: 0 }) }
  return new RankedWaiter({ demand, commit: () => "wait", home, number: ++arrivals, at: 0 }, rank)
}

/** Makes a heap count how often one of its items is read. */
const counting = (heap: object, items: ReadonlyArray<unknown>) => {
  const seen = { reads: 0 }
  const get = (target: ReadonlyArray<unknown>, key: PropertyKey): unknown => {
    if (typeof key === "string" && /^\d+$/.test(key)) seen.reads++
    return Reflect.get(target, key)
  }
  Object.defineProperty(heap, "items", { value: new Proxy(items as Array<unknown>, { get }) })
  return seen
}

describe("QueueSizes", () => {
  it("sums sizes, each cut at a limit, as flows grow and shrink", () => {
    for (let seed = 1; seed <= 30; seed++) {
      const next = numbers(seed)
      const sizes = new QueueSizes()
      const flows = Array.from({ length: 8 }, () => 0)
      for (let step = 0; step < 200; step++) {
        const i = next(8)
        if (next(5) < 3) sizes.grew(++flows[i]!)
        else if (flows[i]! > 0) sizes.shrank(flows[i]!--)
        for (const limit of [0, 1, 2, next(40), 1000]) {
          const plain = flows.reduce((sum, size) => sum + Math.min(size, limit), 0)
          assert.strictEqual(sizes.sum(limit), plain, `seed ${seed}, step ${step}, limit ${limit}`)
        }
      }
    }
  })
})

describe("FairQueue", () => {
  it("tells how many go before, as a look at every flow would", () => {
    for (let seed = 1; seed <= 40; seed++) {
      const next = numbers(seed)
      const queue = new FairQueue()
      const flows = Array.from({ length: 6 }, (_, i) => new Flow(`t${i}`, [1, 2, 0.5][i % 3]!, queue))
      const waiting: Array<RankedWaiter> = []
      const aside: Array<RankedWaiter> = []
      for (let step = 0; step < 60; step++) {
        const what = next(6)
        if (what < 3) {
          const waiter = waiterOf("t")
          queue.add(waiter, flows[next(6)]!)
          waiting.push(waiter)
        } else if (what === 3 && waiting.length > 0) {
          const [gone] = waiting.splice(next(waiting.length), 1)
          if (next(2) === 0) queue.serve(gone!)
          else queue.remove(gone!)
        } else if (what === 4) {
          const first = queue.first()
          if (first !== undefined) {
            queue.setAside(first)
            aside.push(first)
          }
        } else for (const waiter of aside.splice(0)) queue.bringBack(waiter)
        for (const flow of [undefined, ...flows]) {
          const [own, weight] = [next(5), flow?.weight ?? 1]
          let plain = own
          for (const other of queue.flows.items) {
            if (other === flow) continue
            plain += Math.min(other.waiters.size, Math.ceil((own + 1) * other.weight / weight))
          }
          assert.strictEqual(queue.ahead(own, flow, weight), plain, `seed ${seed}, step ${step}`)
        }
      }
    }
  })

  it("looks at no flow to tell it", () => {
    const queue = new FairQueue()
    for (let i = 0; i < 1000; i++) queue.add(waiterOf(`t${i}`), new Flow(`t${i}`, 1, queue))
    const seen = counting(queue.flows, queue.flows.items)
    assert.strictEqual(queue.ahead(0, undefined, 1), 1000)
    assert.isBelow(seen.reads, 20)
  })
})

describe("ClassQueues", () => {
  it("takes from the tenant with most requests for its weight, the one known for longest of several", () => {
    for (let seed = 1; seed <= 40; seed++) {
      const next = numbers(seed)
      const weightOf = (tenant: string) => tenant === "t1" ? 2 : tenant === "t2" ? 0.5 : 1
      const queues = new ClassQueues(weightOf, 10_000)
      const waiting: Array<RankedWaiter> = []
      /** In the order in which they became known. */
      const tenants = new Set<string>()
      for (let step = 0; step < 60; step++) {
        if (next(3) < 2) {
          const waiter = waiterOf(`t${next(5)}`)
          queues.add(waiter)
          waiting.push(waiter)
          tenants.add(waiter.demand.tenant)
        } else if (waiting.length > 0) queues.remove(waiting.splice(next(waiting.length), 1)[0]!, next(2) === 0)
        const of = (tenant: string) => waiting.filter(({ demand }) => demand.tenant === tenant)
        const share = (tenant: string, more = 0) => (of(tenant).length + more) / weightOf(tenant)
        let most: string | undefined
        for (const tenant of tenants) if (most === undefined || share(tenant) > share(most)) most = tenant
        const expected = most !== undefined && share(most, -1) >= share("new", 1) ? of(most).at(-1) : undefined
        assert.strictEqual(queues.displaced(waiterOf("new")), expected, `seed ${seed}, step ${step}`)
      }
    }
  })
})

/** An admission whose commits all say the same; `commits` counts them. */
const setUp = (answer: Commit, options: BoundedAdmission.Options) =>
  Effect.gen(function* () {
    const counts = { commits: 0, refused: 0 }
    const leases = partly(Leases, { onFree: () => () => {} })
    const context = yield* Layer.build(BoundedAdmission.layer(options).pipe(Layer.provide(leases)))
    const admission = Context.get(context, Admission)
    const commit = (): Commit => {
      counts.commits++
      return answer
    }
    const join = (tenant: string) =>
      Effect.forkScoped(
        Effect.catch(
          admission.admit(demandFor(model, { tenant }), commit, () => Effect.void),
          () => Effect.sync(() => counts.refused++),
        ),
        { startImmediately: true },
      )
    return { admission, counts, join }
  })

describe("an admission with many tenants", () => {
  it.effect("asks for the one that comes, and not for all others, while they wait for a load", () =>
    Effect.gen(function* () {
      const { counts, join } = yield* setUp("loading", { queueCapacity: Infinity })
      for (let i = 0; i < 200; i++) yield* join(`t${i}`)
      counts.commits = 0
      yield* join("late")
      assert.strictEqual(counts.commits, 1)
      // Another request of a tenant that is known to wait for the load is not asked for at all.
      yield* join("late")
      assert.strictEqual(counts.commits, 1)
      yield* elapse("100 millis")
      // Each sweep asks once for each tenant.
      assert.isAbove(counts.commits, 1)
      assert.strictEqual((counts.commits - 1) % 201, 0)
    }))

  it.effect("evicts thousands at one deadline, each once", () =>
    Effect.gen(function* () {
      const { admission, counts, join } = yield* setUp("wait", { queueCapacity: Infinity, queueMillis: 1000 })
      for (let i = 0; i < 2000; i++) yield* join(`t${i}`)
      assert.strictEqual(admission.queues()[0]!.depth, 2000)
      assert.lengthOf(admission.queues()[0]!.tenants, 2000)
      yield* elapse("1200 millis")
      for (let i = 0; i < 10; i++) yield* Effect.yieldNow
      assert.strictEqual(counts.refused, 2000)
      assert.deepStrictEqual(admission.queues(), [])
    }))
})
