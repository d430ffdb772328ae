import { assert, describe, it } from "@effect/vitest"
import { Context, Metric } from "effect"
import { PrometheusMetrics } from "effect/observability"
import * as MetricText from "../../../src/layers/routes/metricText.ts"

const registryOf = () => Context.make(Metric.MetricRegistry, new Map())
const odd = `a "name" \\ of\ntwo lines`
const gauge = (name: string, help: string): MetricText.Read => ({ name, help, type: "gauge" })

describe("the text of metrics", () => {
  it("is what Effect writes of the same gauges, with odd labels, odd numbers, and values that are set again", () => {
    const registry = registryOf()
    const readings = new MetricText.Readings()
    const set = (metric: MetricText.Read, value: number, labels: MetricText.Labels = {}) => {
      Metric.withAttributes(Metric.gauge(metric.name, { description: metric.help }), labels).updateUnsafe(
        value,
        registry,
      )
      readings.set(metric, value, labels)
    }
    const [one, two] = [gauge("llamero_one", "The first"), gauge("llamero_two", "The second")]
    set(one, 1)
    for (const model of ["b", "a", odd, ""]) set(two, 0, { model })
    set(two, 7, { model: "a" })
    set(two, 1.5e21, { backend: odd, model: "a" })
    for (const value of [NaN, Infinity, -Infinity, -0.25, 1e-9]) set(one, value, { value: `${value}` })
    assert.strictEqual(Array.from(readings.parts()).join(""), PrometheusMetrics.formatUnsafe(registry))
  })

  it("comes in parts of a bounded number of lines", () => {
    const readings = new MetricText.Readings()
    const many = gauge("llamero_many", "Many")
    for (let i = 0; i < 3 * MetricText.linesMax + 1; i++) readings.set(many, i, { i: `${i}` })
    const parts = Array.from(readings.parts())
    assert.lengthOf(parts, 4)
    for (const part of parts) assert.isAtMost(part.split("\n").length, MetricText.linesMax + 3)
    assert.lengthOf(parts.join("").split("\n"), 2 + 3 * MetricText.linesMax + 1 + 1)
  })

  it("of a registry is what Effect writes of the whole, in parts where a family has many series", () => {
    const registry = registryOf()
    for (let i = 0; i < 450; i++) {
      const attributes = { backend: `b${i}` }
      Metric.counter("calls_total", { description: "Calls", attributes }).updateUnsafe(i, registry)
      Metric.histogram("seconds", { description: "Time", boundaries: [1, 2], attributes }).updateUnsafe(i % 3, registry)
      if (i < 3) Metric.gauge("plain.name", { attributes }).updateUnsafe(i, registry)
      if (i < 2) Metric.gauge("plain_name", { attributes: { other: `${i}` } }).updateUnsafe(i, registry)
    }
    const parts = Array.from(MetricText.registryParts(registry))
    assert.strictEqual(parts.join(""), PrometheusMetrics.formatUnsafe(registry))
    assert.lengthOf(parts, 3 + 3 + 1)
    assert.deepStrictEqual(Array.from(MetricText.registryParts(registryOf())), [])
  })
})
