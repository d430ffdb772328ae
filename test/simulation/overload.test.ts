/**
 * Much more load than the capacity, with the real layers and a simulated server: what is bounded, what is fair, and
 * whether `Retry-After` is right.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Admission } from "../../src/services/Admission.ts"
import { Router, type Settled } from "../../src/services/Router.ts"
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"
import { idle, nothing, over, request } from "../support/routers.ts"
import { RecordingReply } from "../support/sinks.ts"

const capacity = 128
const deadline = 30_000
const bytesMax = 256 * 1024 * 1024
const server: SimulatedFleet.ServerOptions = {
  decodeRate: 25,
  loadTime: "1 second",
  overhead: "5 millis",
  parallelism: 4,
}

interface Asked {
  readonly tenant: string
  readonly at: number
  readonly fiber: Fiber.Fiber<Settled>
}
interface Ended extends Asked {
  readonly settled: Settled
}

let sent = 0
/** One whole answer of 12 to 27 tokens. */
const ask = Effect.fnUntraced(function* (tenant: string) {
  const router = yield* Router
  const at = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
  const body = { model: "tiny-loop", prompt: "x", stream: false, options: { num_predict: 12 + (sent++ * 7) % 16 } }
  const call = { ...request("/api/generate", body, at), tenant }
  const fiber = yield* Effect.forkChild(router.route(call, new RecordingReply()), { startImmediately: true })
  return { tenant, at, fiber }
})

const settled = (asked: ReadonlyArray<Asked>) =>
  Effect.forEach(asked, (one) => Effect.map(Fiber.join(one.fiber), (settled): Ended => ({ ...one, settled })))

const answered = ({ settled }: Ended): boolean => settled.result === "answered" && settled.status === 200
const quantile = (values: ReadonlyArray<number>, part: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))]!

/**
 * For every request that was shed: its `Retry-After`, compared with the time until a request of the same tenant in its
 * place was answered.
 */
const errors = (shed: ReadonlyArray<Ended>, really: (one: Ended) => number | undefined): ReadonlyArray<number> =>
  shed.flatMap((one) => {
    const actual = really(one)
    return actual === undefined ? [] : [Math.abs(one.settled.refusal!.retryAfter! * 1000 - actual) / actual]
  })

const warm = Effect.gen(function* () {
  yield* TestClock.adjust("1 second")
  const first: Array<Asked> = []
  for (let i = 0; i < 24; i++) {
    first.push(yield* ask("warm"))
    yield* TestClock.adjust("500 millis")
  }
  yield* TestClock.adjust("10 seconds")
  yield* settled(first)
})

/** The most places that each tenant may have, if no tenant may have more than another one that wants more. */
const shares = (wanted: ReadonlyMap<string, number>, places: number): ReadonlyMap<string, number> => {
  const given = new Map<string, number>()
  let left = places
  let tenants = wanted.size
  for (const [tenant, most] of Array.from(wanted).sort((a, b) => a[1] - b[1])) {
    const share = Math.min(most, left / tenants)
    given.set(tenant, share)
    left -= share
    tenants--
  }
  return given
}

describe("overload", () => {
  const volumes = new Map([["huge", 1600], ["big", 250], ["middle", 100], ["small", 40], ["tiny", 10]])

  it.effect("2,000 requests at the same time for one model with parallelism 4", () =>
    Effect.gen(function* () {
      yield* warm
      const admission = yield* Admission
      const tenants = Array.from(volumes, ([tenant, count]) => Array.from({ length: count }, () => tenant)).flat()
      const asked: Array<Asked> = []
      // Every 7th request: 2,000 and 7 have no common divisor, so tenants are mixed, and the largest one is everywhere.
      for (let i = 0; i < tenants.length; i++) {
        asked.push(yield* ask(tenants[(i * 7) % tenants.length]!))
        for (const { bytes, depth } of admission.queues()) {
          assert.isAtMost(depth, capacity)
          assert.isAtMost(bytes, bytesMax)
        }
      }
      const [queue] = admission.queues()
      assert.strictEqual(queue!.depth, capacity)
      const wanted = new Map(volumes)
      const running = asked.slice(0, 4)
      for (const { tenant } of running) wanted.set(tenant, wanted.get(tenant)! - 1)
      const share = shares(wanted, capacity)
      for (const { depth, tenant } of queue!.tenants) {
        assert.isAtMost(Math.abs(depth - share.get(tenant)!), 1, `${tenant} has ${depth} places`)
      }

      yield* TestClock.adjust("2 minutes")
      const ended = yield* settled(asked)
      const through = ended.filter((one) => answered(one) && !running.some(({ fiber }) => fiber === one.fiber))
        .sort((a, b) => a.settled.queuedMillis - b.settled.queuedMillis)
      // While two tenants wait, neither is served more than one request ahead of the other.
      const served = new Map(Array.from(volumes.keys(), (tenant) => [tenant, 0]))
      const total = new Map(
        Array.from(volumes.keys(), (tenant) => [tenant, through.filter((one) => one.tenant === tenant).length]),
      )
      for (let i = 0; i < through.length; i++) {
        const { settled: { queuedMillis }, tenant } = through[i]!
        served.set(tenant, served.get(tenant)! + 1)
        // Several requests start at the same moment. There is an order only between moments.
        if (through[i + 1]?.settled.queuedMillis === queuedMillis) continue
        const waiting = Array.from(volumes.keys()).filter((one) => served.get(one)! < total.get(one)!)
        const counts = waiting.map((one) => served.get(one)!)
        if (waiting.length > 1) assert.isAtMost(Math.max(...counts) - Math.min(...counts), 1, `after ${i + 1}`)
      }

      const waits = ended.filter(answered).map((one) => one.settled.queuedMillis)
      const p99 = quantile(waits, 0.99)
      assert.isAtMost(p99, deadline)
      const shed = ended.filter(({ settled }) => settled.refusal?.reason === "QueueFull")
      const late = ended.filter(({ settled }) => settled.refusal?.reason === "DeadlineExceeded")
      assert.strictEqual(waits.length + shed.length + late.length, asked.length)
      for (const { settled } of late) assert.strictEqual(settled.attempts, 0)
      const last = (tenant: string): number =>
        Math.max(
          ...ended.filter((one) => answered(one) && one.tenant === tenant).map((one) => one.settled.queuedMillis),
        )
      const error = quantile(errors(shed, ({ tenant }) => last(tenant)), 0.5)
      console.log(
        `2,000 at once: ${waits.length} answered, ${shed.length} shed, ${late.length} evicted; wait p50 ` +
          `${quantile(waits, 0.5)} ms, p99 ${p99} ms; Retry-After median error ${(error * 100).toFixed(1)} %`,
      )
      assert.isAtMost(error, 0.3)
      assert.deepStrictEqual(yield* idle, nothing)
    }).pipe(Effect.provide(over({ a: server }, {}, { parallelism: 4 }))), 60_000)

  it.effect("Retry-After in a steady state of twice the capacity", () =>
    Effect.gen(function* () {
      yield* warm
      const asked: Array<Asked> = []
      const tenants = ["a", "a", "b", "a"]
      for (let i = 0; i < 1200; i++) {
        asked.push(yield* ask(tenants[i % tenants.length]!))
        yield* TestClock.adjust(100)
      }
      yield* TestClock.adjust("2 minutes")
      const ended = yield* settled(asked)
      // The queue fills in the first minute.
      const shed = ended.filter(({ at, settled }) => settled.refusal?.reason === "QueueFull" && at > asked[600]!.at)
      assert.isAbove(shed.length, 50)
      const error = quantile(
        errors(shed, (one) =>
          ended.find((other) =>
            other.at >= one.at && other.tenant === one.tenant && answered(other)
          )?.settled
            .queuedMillis),
        0.5,
      )
      console.log(`steady: ${shed.length} shed; Retry-After median error ${(error * 100).toFixed(1)} %`)
      assert.isAtMost(error, 0.3)
      assert.deepStrictEqual(yield* idle, nothing)
    }).pipe(Effect.provide(over({ a: server }, {}, { parallelism: 4 }))), 60_000)
})
