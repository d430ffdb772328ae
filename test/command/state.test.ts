/** What a client makes of the state of a router. */
import { assert, describe, it } from "@effect/vitest"
import { bar, cells, type Part } from "../../src/command/state/bars.ts"
import * as Rates from "../../src/command/state/rates.ts"
import { changed, condition, ordered, problems, urgency } from "../../src/command/state/state.ts"
import { backend, device, state, traffic } from "../support/commandState.ts"

describe("a change of the state", () => {
  const before = state({ backends: [backend("a"), backend("b")], devices: [device("GPU-1"), device("GPU-2")] })

  it("replaces whole backends and devices, adds new ones at the end, and keeps the others as they are", () => {
    const now = changed(before, { backends: [backend("b", { streams: 3 }), backend("c")], at: "later" })
    assert.deepStrictEqual(now.backends.map(({ id, streams }) => [id, streams]), [["a", 0], ["b", 3], ["c", 0]])
    assert.strictEqual(now.backends[0], before.backends[0])
    assert.strictEqual(now.at, "later")
    assert.strictEqual(now.devices, before.devices)
  })

  it("removes what is gone, and nothing of the same name in the other list", () => {
    const now = changed(before, { gone: ["backends/a", "devices/GPU-2", "devices/b"] })
    assert.deepStrictEqual(now.backends.map(({ id }) => id), ["b"])
    assert.deepStrictEqual(now.devices.map(({ device }) => device), ["GPU-1"])
  })

  it("replaces whole lists", () => {
    const queue = state().queues
    assert.deepStrictEqual(changed(before, { queues: [...queue], prewarm: [] }).queues, queue)
  })
})

describe("the condition of a backend", () => {
  it.each(
    [
      ["healthy", {}, 0],
      ["unhealthy", { health: "unhealthy" }, 3],
      ["unknown", { health: "unknown" }, 0],
      ["breaker open", { breaker: "open" }, 3],
      ["breaker half-open", { breaker: "half-open" }, 2],
      ["draining", { member: "draining", health: "unhealthy", streams: 2 }, 1],
      ["drained", { member: "draining" }, 1],
      ["isolated", { member: "isolated" }, 1],
    ] as const,
  )("%s", (words, fields, urgent) => {
    assert.strictEqual(condition(backend("a", fields)), words)
    assert.strictEqual(urgency(backend("a", fields)), urgent)
  })

  it("the worst ones come first, the others in the order of the fleet", () => {
    const all = [
      backend("a"),
      backend("b", { member: "draining" }),
      backend("c", { health: "unhealthy" }),
      backend("d"),
      backend("e", { breaker: "half-open" }),
    ]
    assert.deepStrictEqual(ordered(all).map(({ id }) => id), ["c", "e", "b", "a", "d"])
  })
})

describe("problems", () => {
  it("there are none in a router that is well, or that has no backends", () => {
    assert.deepStrictEqual(problems(state({ backends: [backend("a")] })), [])
    assert.deepStrictEqual(problems(state()), [])
  })

  it("each has its words, the worst first", () => {
    const found = problems(state({
      backends: [backend("a", { health: "unhealthy", reason: "refused" }), backend("b", { member: "isolated" })],
      breakers: [
        { backend: "b", model: "m:1b", state: "open", retry_seconds: 3 },
        { backend: "a", model: null, state: "half-open", retry_seconds: 0 },
        { backend: "c", model: null, state: "closed", retry_seconds: 0 },
      ],
      devices: [device("GPU-1", { failure: "no driver" })],
      prewarm: [{ plan: "p", model: "m:1b", backend: null, state: "failed", reason: "no room", since: null }],
    }))
    assert.deepStrictEqual(found.map(({ level, text }) => `${level} ${text}`), [
      "bad no backend is healthy: every request is refused",
      "bad a is unhealthy: refused",
      "bad the breaker of m:1b on b is open",
      "warn b is isolated by an operator",
      "warn the breaker of a is half-open",
      "warn the memory of GPU-1 cannot be read: no driver",
      "warn m:1b could not be prewarmed: no room",
    ])
  })
})

describe("rates", () => {
  const sample = (at: number, fields: Partial<Rates.Sample["traffic"]>): Rates.Sample => ({
    at,
    traffic: traffic(fields),
    routing: at / 1e6,
  })

  it("are differences over the time between, and averages over the requests between", () => {
    const before = sample(1000, {
      requests: 10,
      answer_tokens: 100,
      queued_seconds: 1,
      first_bytes: 8,
      first_byte_seconds: 2,
    })
    const now = sample(3000, {
      requests: 14,
      failed: 1,
      shed: 1,
      answer_tokens: 500,
      queued_seconds: 3,
      first_bytes: 10,
      first_byte_seconds: 3,
    })
    assert.deepStrictEqual(Rates.rates(before, now), {
      requests: 2,
      failed: 1,
      tokens: 200,
      routing: 0.003,
      dispatch: 0.5,
      firstByte: 0.5,
    })
  })

  it("nothing is known before the second sample, after a restart, and at the same moment", () => {
    assert.deepStrictEqual(Rates.rates(undefined, sample(0, {})), Rates.unknown)
    assert.deepStrictEqual(Rates.rates(sample(0, { requests: 9 }), sample(1000, { requests: 2 })), Rates.unknown)
    assert.deepStrictEqual(Rates.rates(sample(5, {}), sample(5, {})), Rates.unknown)
  })

  it("a history has a gap where there was no connection, no negative rate after a restart, and a bounded length", () => {
    let history = Rates.empty
    const add = (one: Rates.Sample | undefined) => history = Rates.add(history, one)
    add(sample(0, { requests: 100 }))
    add(sample(1000, { requests: 110 }))
    assert.strictEqual(history.points.at(-1)?.requests, 10)
    add(undefined)
    assert.strictEqual(history.points.at(-1)?.requests, null)
    add(sample(3000, { requests: 2 }))
    add(sample(4000, { requests: 5 }))
    assert.strictEqual(history.points.at(-1)?.requests, 3)
    for (let i = 5; i < 1000; i++) add(sample(i * 1000, { requests: i }))
    assert.isAtMost(history.points.length, 240)
    assert.isAtMost(history.samples.length, 240)
    assert.strictEqual(history.points.at(-1)?.requests, 1)
  })
})

describe("the bar of devices", () => {
  const charge = (model: string, bytes: number, state: "resident" | "loading" | "gone" = "resident") => ({
    backend: "a",
    model,
    bytes,
    state,
  })

  it("has models by name, what is held for others, other processes, the reserve, and what is free", () => {
    const one = bar([
      device("GPU-1", {
        total: 100,
        foreign: 10,
        reserve: 5,
        models: [charge("z", 20), charge("m", 10, "loading"), charge("a", 5, "gone")],
      }),
    ])
    assert.strictEqual(one.total, 100)
    assert.strictEqual(one.used, 40)
    assert.deepStrictEqual(one.parts.map(({ bytes, kind, name }) => [kind, name, bytes]), [
      ["held", "m", 10],
      ["model", "z", 20],
      ["others", "other processes", 10],
      ["reserve", "reserve", 5],
      ["free", "free", 55],
    ])
  })

  it("adds several devices up, and is scaled where more is charged than there is", () => {
    const two = bar([
      device("1", { total: 50, models: [charge("m", 30)] }),
      device("2", { total: 50, models: [charge("m", 90)] }),
    ])
    assert.deepStrictEqual([two.total, two.used], [100, 120])
    assert.deepStrictEqual(two.parts.map(({ kind, share }) => [kind, share]), [["model", 1]])
  })

  it("is empty where nothing is known", () => {
    assert.deepStrictEqual(bar([device("1", { total: null })]), { total: undefined, used: 0, parts: [] })
    assert.deepStrictEqual(bar([]), { total: undefined, used: 0, parts: [] })
  })

  const part = (share: number, kind: Part["kind"] = "model"): Part => ({ kind, name: "m", bytes: share, share })

  it.each([1, 3, 7, 10, 37, 200])("gives %d cells to its parts, all of them together", (width) => {
    const parts = [part(0.334), part(0.333), part(0.003, "held"), part(0.33, "free")]
    const given = cells(parts, width)
    assert.strictEqual(given.reduce((sum, count) => sum + count, 0), width)
    assert.isTrue(given.every((count) => count >= 0))
  })

  it("a small model is seen, where there is place for it", () => {
    assert.deepStrictEqual(cells([part(0.001), part(0.999, "free")], 10), [1, 9])
    assert.deepStrictEqual(cells([part(0.001), part(0.999)], 1), [0, 1])
  })
})
