import { assert, describe, it } from "@effect/vitest"
import { Context, Metric } from "effect"
import { format, isWanted } from "../../../src/layers/routes/openMetrics.ts"
import type { Trace } from "../../../src/services/Trace.ts"
import { histogram, SeriesWithExemplars } from "../../../src/support/metricSeries.ts"

const registry = () => Context.make(Metric.MetricRegistry, new Map())
const latency = histogram("wait_seconds", "A wait", [0.1, 1])

describe("OpenMetrics", () => {
  it("names a counter's family without _total, and ends", () => {
    const context = registry()
    Metric.counter("a_total", { description: 'Says "a"\n', incremental: true, attributes: { of: 'x"\\\n' } })
      .updateUnsafe(3, context)
    Metric.gauge("b", { description: "B" }).updateUnsafe(1.5, context)
    assert.deepStrictEqual(format([context]).split("\n"), [
      "# TYPE a counter",
      '# HELP a Says \\"a\\"\\n',
      'a_total{of="x\\"\\\\\\n"} 3',
      "# TYPE b gauge",
      "# HELP b B",
      "b 1.5",
      "# EOF",
      "",
    ])
  })

  const traceOf = (traceId: string, sampled = true) => ({ sampled, traceId }) as Trace

  it("asks a trace that was not chosen for no id: it would have to make one", () => {
    const context = registry()
    const trace = {
      sampled: false,
      get traceId(): string {
        throw new Error("nobody may ask")
      },
    } as Trace
    const series = new SeriesWithExemplars(latency, {}, context)
    for (const at of [0, 1000]) series.observe(0.5, at, "r1", trace)
    assert.include(format([context]), '# {request_id="r1"} 0.5')
  })

  it("gives a bucket the id of a request that fell into it", () => {
    const context = registry()
    const series = new SeriesWithExemplars(latency, { route: "/a" }, context)
    series.observe(0.5, 2500, "r1", traceOf("0af7651916cd43dd8448eb211c80319c"))
    series.observe(7, 2600, "r2", undefined)
    const lines = format([context]).split("\n").filter((line) => line.includes("_bucket"))
    assert.deepStrictEqual(lines, [
      'wait_seconds_bucket{route="/a",le="0.1"} 0',
      'wait_seconds_bucket{route="/a",le="1"} 1 # {request_id="r1",trace_id="0af7651916cd43dd8448eb211c80319c"} 0.5 2.5',
      'wait_seconds_bucket{route="/a",le="+Inf"} 2 # {request_id="r2"} 7 2.6',
    ])
  })

  it("keeps an exemplar for a second, and takes a newer one then", () => {
    const context = registry()
    const series = new SeriesWithExemplars(latency, {}, context)
    const shown = () => /request_id="(\w+)"/.exec(format([context]))?.[1]
    series.observe(0.5, 1000, "first", undefined)
    series.observe(0.5, 1999, "soon", undefined)
    assert.strictEqual(shown(), "first")
    series.observe(0.5, 2000, "later", undefined)
    assert.strictEqual(shown(), "later")
    series.remove()
    assert.isUndefined(shown())
  })

  it("leaves out an id that is too long for an exemplar, and keeps a shorter one", () => {
    const context = registry()
    new SeriesWithExemplars(latency, {}, context).observe(0.5, 0, "r".repeat(119), traceOf("abc"))
    assert.include(format([context]), '# {trace_id="abc"} 0.5')
    const other = registry()
    new SeriesWithExemplars(latency, {}, other).observe(0.5, 0, "r".repeat(118), traceOf("abc"))
    assert.include(format([other]), `# {request_id="${"r".repeat(118)}"} 0.5`)
  })

  it("is sent to those who prefer it", () => {
    // As Prometheus 2.42 and 3 send it.
    const prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75," +
      "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
    const cases: ReadonlyArray<readonly [string | undefined, boolean]> = [
      [undefined, false],
      ["*/*", false],
      ["text/plain", false],
      ["text/plain;version=0.0.4;q=1, application/openmetrics-text;q=0.5", false],
      ["application/openmetrics-text;q=0", false],
      ["application/openmetrics-text", true],
      ["Application/OpenMetrics-Text; version=1.0.0; q=0.8, text/plain; q=0.8", true],
      [prometheus, true],
    ]
    for (const [accept, wanted] of cases) assert.strictEqual(isWanted(accept), wanted, accept)
  })
})
