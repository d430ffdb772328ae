/** The verdicts of the benchmark: a goal that is missed, or that was not really measured, never looks reached. */
import { assert, describe, it } from "@effect/vitest"
import { figures, type Verdict, verdicts } from "../../bench/figures.ts"
import type { Results, Row } from "../../bench/results.ts"
import type { Sample } from "../../bench/scenario.ts"

type Figure = typeof figures[number]

const OTHER_SIDE = 8

/** Results in which a figure is `share` of its limit, with `change` made to our row, and none of the other figures. */
const resultsOf = (figure: Figure, share: number, change: { ours?: Partial<Row>; other?: Partial<Row> } = {}) => {
  const { against, metric, scenario, target = "llamero" } = figure
  const value = share * (figure.atLeast ?? figure.atMost!)
  const ours = against?.how === "ratio" ? OTHER_SIDE * value : against?.how === "added" ? OTHER_SIDE + value : value
  const row = (scenario: string, target: string, number: number): Row => ({
    scenario,
    target,
    samples: Array.from({ length: 5 }, (): Sample => ({ [metric]: number, errors: 0 })),
  })
  const results: Array<Row> = [{ ...row(scenario, target, ours), ...change.ours }]
  if (against) {
    const other = row(against.scenario ?? scenario, against.to ?? target, OTHER_SIDE)
    results.push({ ...other, ...change.other })
  }
  return results as Results
}

const verdictOf = (figure: Figure, results: Results): Verdict => verdicts(results)[figures.indexOf(figure)]!

const better = ({ atLeast }: Figure) => atLeast === undefined ? 0.999 : 1.001
const worse = ({ atLeast }: Figure) => atLeast === undefined ? 1.001 : 0.999
const failing = (metric: string, ours: number): Partial<Row> => ({
  samples: [{ [metric]: ours, errors: 0 }, { [metric]: ours, errors: 3 }],
})

const named = figures.map((figure) => [`${figure.says}, ${figure.unit}`, figure] as const)

describe("the figures of the benchmark", () => {
  it("have names of their own", () => {
    assert.strictEqual(new Set(named.map(([name]) => name)).size, figures.length)
  })

  it.each(named)("%s: reached just within its limit, missed just outside", (_, figure) => {
    assert.strictEqual(verdictOf(figure, resultsOf(figure, better(figure))).verdict, "PASS")
    assert.strictEqual(verdictOf(figure, resultsOf(figure, worse(figure))).verdict, "MISS")
  })

  it.each(named)("%s: missed if one answer was wrong, however good the number is", (_, figure) => {
    const good = resultsOf(figure, better(figure))
    const ours = failing(figure.metric, good[0]!.samples[0]![figure.metric]!)
    const { note, verdict } = verdictOf(figure, resultsOf(figure, better(figure), { ours }))
    assert.strictEqual(verdict, "MISS")
    assert.include(note, "3 errors of")
  })

  it.each(named)("%s: missed if llamero gave up, with and without rounds", (_, figure) => {
    for (const samples of [[], resultsOf(figure, better(figure))[0]!.samples]) {
      const ours = { failed: "ended with 1", samples: [...samples] }
      const { note, verdict } = verdictOf(figure, resultsOf(figure, better(figure), { ours }))
      assert.strictEqual(verdict, "MISS")
      assert.include(note, "gave up")
    }
  })

  it.each(named)("%s: not measured is neither reached nor missed", (_, figure) => {
    const { measured, note, verdict } = verdictOf(figure, [])
    assert.deepStrictEqual({ measured, note, verdict }, { measured: "-", note: "not measured", verdict: "SKIP" })
  })

  it.each(named.filter(([, { against }]) => against !== undefined))(
    "%s: proves nothing if the other side failed",
    (_, figure) => {
      const nothing = verdictOf(figure, resultsOf(figure, better(figure), { other: { failed: "x", samples: [] } }))
      assert.strictEqual(nothing.verdict, "SKIP")
      assert.include(nothing.note, "gave up")
      const other = failing(figure.metric, OTHER_SIDE)
      const { note, verdict } = verdictOf(figure, resultsOf(figure, better(figure), { other }))
      assert.strictEqual(verdict, "MISS")
      assert.include(note, "3 errors of")
    },
  )

  it("say when another program was busy on the proxy's core, on either side", () => {
    const figure = figures[0]!
    const busy: Partial<Row> = { samples: [{ rate: 80, others: 0.11, errors: 0 }] }
    for (const change of [{ ours: busy }, { other: busy }]) {
      assert.include(verdictOf(figure, resultsOf(figure, 1, change)).note, "disturbed")
    }
    const calm: Partial<Row> = { samples: [{ rate: 80, others: 0.1, errors: 0 }] }
    assert.strictEqual(verdictOf(figure, resultsOf(figure, 1, { ours: calm })).note, "")
  })

  it.each(named.filter(([, { after }]) => after !== undefined))(
    "%s: proves nothing if the process was not aged as planned, on either side",
    (_, figure) => {
      const { after, against, target = "llamero" } = figure
      const good = resultsOf(figure, better(figure)).filter(({ scenario }) => scenario !== after)
      const ours = resultsOf(figure, better(figure)).filter(({ scenario }) => scenario === after)[0]?.samples[0]
      for (const aged of new Set([target, against?.to ?? target])) {
        const history = (change: Partial<Sample>): Results => [
          ...good,
          { scenario: after!, target: aged, samples: [{ ...ours, errors: 0, ...change }] },
        ]
        assert.strictEqual(verdictOf(figure, history({})).verdict, "PASS")
        assert.strictEqual(verdictOf(figure, history({ errors: 1 })).verdict, "MISS")
        assert.include(verdictOf(figure, history({ behind: 1 })).note, "not complete")
      }
    },
  )

  it("of an aged process compare it with itself, round by round", () => {
    const figure = figures.find(({ against }) => against?.scenario !== undefined && against.to === undefined)!
    const p99 = (...values: ReadonlyArray<number>) => values.map((value) => ({ p99: value, errors: 0 }))
    const { scenario } = figure
    const fresh = figure.against!.scenario!
    const results: Results = [
      { scenario, target: "llamero", samples: p99(2, 8, 3) },
      { scenario: fresh, target: "llamero", samples: p99(1, 2, 2) },
      { scenario, target: "node-http", samples: p99(1, 1, 1) },
      { scenario: fresh, target: "node-http", samples: p99(1, 1, 1) },
    ]
    // 2, 4 and 1.5 times.
    assert.strictEqual(verdictOf(figure, results).value, 2)
  })
})
