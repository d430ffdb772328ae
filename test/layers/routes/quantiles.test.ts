/** Quantiles of the last minute: near the true ones, forgotten in time, in memory of a fixed size. */
import { assert, describe, it } from "@effect/vitest"
import { Traffic } from "../../../src/layers/routes/admin/traffic.ts"
import { Quantiles } from "../../../src/layers/routes/admin/quantiles.ts"
import type { RequestSettled } from "../../../src/services/RouterEvents.ts"

const near = (value: number | null, wanted: number) => {
  assert.isNotNull(value)
  assert.isBelow(Math.abs(value! / wanted - 1), 0.05, `${value} for ${wanted}`)
}

describe("quantiles of a time", () => {
  it("are within a twentieth of the true ones, from microseconds to minutes", () => {
    for (const scale of [0.005, 0.3, 7, 900, 60_000]) {
      const quantiles = new Quantiles()
      for (let i = 1; i <= 1000; i++) quantiles.add(scale * i / 1000, 0)
      const { measured, p50_seconds, p95_seconds, p99_seconds } = quantiles.read(0)
      assert.strictEqual(measured, 1000)
      near(p50_seconds, scale * 0.5 / 1000)
      near(p95_seconds, scale * 0.95 / 1000)
      near(p99_seconds, scale * 0.99 / 1000)
    }
  })

  it("are 0 for no time, not known for no requests, and finite for what is longer than all buckets", () => {
    const nothing = { measured: 0, p50_seconds: null, p95_seconds: null, p99_seconds: null }
    const quantiles = new Quantiles()
    assert.deepStrictEqual(quantiles.read(0), nothing)
    quantiles.add(0, 0)
    assert.deepStrictEqual(quantiles.read(0), { measured: 1, p50_seconds: 0, p95_seconds: 0, p99_seconds: 0 })
    quantiles.add(1e12, 0)
    quantiles.add(Number.MAX_VALUE, 0)
    assert.isAbove(quantiles.read(0).p99_seconds!, 1000)
    assert.isTrue(Number.isFinite(quantiles.read(0).p99_seconds))
    quantiles.add(-5, 0)
    assert.strictEqual(quantiles.read(0).measured, 4)
  })

  it("of one request are that request", () => {
    const quantiles = new Quantiles()
    quantiles.add(2, 0)
    const { p50_seconds, p99_seconds } = quantiles.read(1000)
    near(p50_seconds, 0.002)
    assert.strictEqual(p99_seconds, p50_seconds)
  })

  it("forget what is older than a minute, and not before 55 seconds", () => {
    const quantiles = new Quantiles()
    quantiles.add(1, 1_000_000)
    for (const [after, measured] of [[0, 1], [54_999, 1], [60_000, 0], [3_600_000, 0]] as const) {
      assert.strictEqual(quantiles.read(1_000_000 + after).measured, measured, `${after}`)
    }
    quantiles.add(1, 1_120_000)
    assert.strictEqual(quantiles.read(1_120_000).measured, 1, "an array that is used again is empty")
    assert.strictEqual(quantiles.read(1_000_000).measured, 0, "a clock that was set back does not count the future")
  })
})

describe("the latencies of the traffic", () => {
  const settled = (at: number, queuedMillis: number, attempts: number, routingMillis?: number): RequestSettled => ({
    _tag: "RequestSettled",
    at,
    id: "x",
    route: "/api/chat",
    kind: "chat",
    model: "m",
    known: true,
    tenant: "default",
    settled: {
      result: "answered",
      status: 200,
      refusal: undefined,
      outcome: { kind: "success", cause: "ok", firstByteMillis: 40 },
      backend: "a",
      attempts,
      queuedMillis,
    },
    totalMillis: 100,
    bytesIn: 1,
    bytesOut: 1,
    routingMillis,
  })

  it("keep what the router adds apart from the waits, and count only what was measured", () => {
    const traffic = new Traffic()
    traffic.add(settled(0, 3000, 1, 0.08))
    traffic.add(settled(0, 3000, 1))
    traffic.add(settled(0, 9000, 0))
    const { first_byte, queue, routing, window_seconds } = traffic.latency(1000)
    assert.deepStrictEqual([routing.measured, queue.measured, first_byte.measured], [1, 2, 3])
    near(routing.p50_seconds, 0.000_08)
    near(queue.p99_seconds, 3)
    near(first_byte.p95_seconds, 0.04)
    assert.strictEqual(window_seconds, 60)
  })
})
