/** What a run of the benchmark prints. */
import { assert, describe, it } from "@effect/vitest"
import { markdown, notes, tables, thinned, verdictTable } from "../../bench/report.ts"
import type { Results } from "../../bench/results.ts"

const json = {
  title: "JSON answers",
  name: "JSON",
  compares: [{ metrics: ["rate"], to: "raw", how: "ratio", says: "raw" }],
} as const
const idle = { title: "Nothing", name: "idle" } as const

const results: Results = [
  { scenario: "JSON", target: "ours", samples: [{ rate: 1500, p99: 2, errors: 0 }, { rate: 900, p99: 4, errors: 2 }] },
  { scenario: "JSON", target: "raw", samples: [{ rate: 1000, p99: 1, errors: 0 }, { rate: 1000, p99: 1, errors: 0 }] },
  { scenario: "idle", target: "ours", samples: [{ rss: 123.4, errors: 0 }] },
  { scenario: "idle", target: "raw", samples: [], failed: "ended with 1: no memory\nat line 1" },
]

/** The cells of a row, by the names of the columns. */
const cellsOf = (text: string, target: string) => {
  const rows = text.split("\n").filter((line) => line.startsWith("|")).map((line) =>
    line.split("|").slice(1, -1).map((cell) => cell.trim())
  )
  const row = rows.find((cells) => cells[1] === target)!
  return Object.fromEntries(rows[0]!.map((name, column) => [name, row[column]]))
}

describe("the tables of the benchmark", () => {
  it("have the columns in which there is something, and all errors", () => {
    assert.deepStrictEqual(cellsOf(tables(results, [json]), "ours"), {
      load: "JSON",
      target: "ours",
      "req/s": "1,200 (900..1,500)",
      "p99 ms": "3.00 (2.00..4.00)",
      "req/s / raw": "1.20 (0.90..1.50)",
      errors: "2",
    })
    assert.strictEqual(cellsOf(tables(results, [json]), "raw")["req/s / raw"], "-")
    assert.strictEqual(cellsOf(tables(results, [json]), "raw")["p99 ms"], "1.00")
  })

  it("are one for each group, and show who gave up", () => {
    const text = tables(results, [json, idle])
    assert.lengthOf(text.match(/^### /gm)!, 2)
    const second = tables(results, [idle])
    assert.deepStrictEqual(cellsOf(second, "ours"), { load: "idle", target: "ours", "RSS MiB": "123", errors: "0" })
    assert.strictEqual(cellsOf(second, "raw")["errors"], "gave up")
    assert.deepStrictEqual(notes(results), ["idle: raw gave up: ended with 1: no memory"])
  })

  it("compare a scenario with another one of the same target", () => {
    const aged = {
      ...idle,
      name: "aged",
      compares: [{ metrics: ["rss"], scenario: "idle", how: "ratio", says: "fresh" }],
    } as const
    const both: Results = [...results, { scenario: "aged", target: "ours", samples: [{ rss: 246.8, errors: 0 }] }]
    assert.strictEqual(cellsOf(tables(both, [aged]), "ours")["RSS / fresh"], "2.00")
  })

  it("are aligned", () => {
    const lengths = markdown([["a", "longer"], ["much longer", "b"]]).split("\n").map((line) => line.length)
    assert.strictEqual(new Set(lengths).size, 1)
  })

  it("count the goals by their verdict", () => {
    const verdict = { figure: "f", value: 1, wanted: "<= 1", measured: "1", note: "" }
    const text = verdictTable([
      { ...verdict, verdict: "PASS" },
      { ...verdict, verdict: "MISS" },
      { ...verdict, verdict: "MISS" },
    ])
    assert.include(text, "1 reached, 2 missed, 0 not measured")
    assert.lengthOf(text.match(/\| MISS /g)!, 2)
  })
})

describe("the memory of an aging process", () => {
  it("is shown at a few seconds, from the first to the last", () => {
    for (const length of [1, 2, 12, 13, 14, 60, 601, 3600]) {
      const seconds = thinned(Array.from({ length }, (_, second) => second * 10))
      assert.strictEqual(seconds[0]![0], 0, `${length}`)
      assert.strictEqual(seconds.at(-1)![0], length - 1, `${length}`)
      assert.isAtMost(seconds.length, 13)
      for (const [second, value] of seconds) assert.strictEqual(value, second * 10)
    }
    assert.deepStrictEqual(thinned([]), [])
  })

  it("is a remark below the tables, and so are errors and a history that is not complete", () => {
    const samples = [{ errors: 0, rss: 9, history: [100, 150.2, 149], faults: ["3 of 9 streams"], behind: 7 }]
    const remarks = notes([{ scenario: "aging", target: "ours", samples }])
    assert.lengthOf(remarks, 3)
    assert.include(remarks[0], "3 of 9 streams")
    assert.include(remarks[1], "100 (0 s), 150 (1 s), 149 (2 s)")
    assert.include(remarks[2], "7 requests")
  })
})
