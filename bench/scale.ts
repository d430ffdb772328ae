/**
 * What a big fleet costs: `npm run bench:scale [-- --only NAME] [-- --against DIR] [-- --rounds N]`. 1,000 backends
 * with 200 models each, and 100,000 tenants that wait, in one process and without sockets. `--against` names another
 * checkout, which has these files too: both are measured in turns, each in processes of its own.
 */
import { spawnSync } from "node:child_process"
import process from "node:process"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import type { Row } from "./scale/measure.ts"
import { median } from "./statistics.ts"

const sections: Readonly<Record<string, () => Promise<ReadonlyArray<Row>>>> = {
  decisions: async () => (await import("./scale/decisions.ts")).decisions(),
  admission: async () => (await import("./scale/admission.ts")).admission(),
  fleet: async () => (await import("./scale/sweeps.ts")).sweeps(),
  catalog250: async () => (await import("./scale/sweeps.ts")).catalog(250),
  catalog: async () => (await import("./scale/sweeps.ts")).catalog(1000),
  lists: async () => (await import("./scale/lists.ts")).lists(),
}

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    against: { type: "string" },
    rounds: { type: "string", default: "1" },
    json: { type: "boolean", default: false },
  },
})
const names = Object.keys(sections).filter((name) => values.only?.split(",").includes(name) ?? true)
if (names.length === 0) throw new RangeError(`--only: ${Object.keys(sections).join(", ")}`)

/** The rows of a section of a checkout, measured in a process of its own. */
const elsewhere = (checkout: string, section: string): ReadonlyArray<Row> => {
  const args = ["--expose-gc", `${checkout}/bench/scale.ts`, "--json", "--only", section]
  const { status, stdout } = spawnSync(process.execPath, args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    maxBuffer: 1 << 28,
  })
  if (status !== 0) throw new Error(`${checkout}: ${section} ended with ${status}`)
  return JSON.parse(stdout.slice(stdout.indexOf("[")))
}

/** The medians of several rounds of one row. */
const merged = (rounds: ReadonlyArray<ReadonlyArray<Row>>): ReadonlyArray<Row> =>
  rounds[0]!.map((first, i) => {
    const of = (field: "median" | "p99" | "max"): number => median(rounds.map((rows) => rows[i]![field]))
    return { ...first, median: of("median"), p99: of("p99"), max: of("max") }
  })

const digits = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toFixed(3)

const line = (row: Row, before: Row | undefined): string => {
  const { goal, median, n, p99, max, unit, what } = row
  const figure = (field: "median" | "p99" | "max", value: number): string =>
    before === undefined ? digits(value) : `${digits(before[field])} -> ${digits(value)}`
  const verdict = goal === undefined ? "" : `${goal.of} <= ${goal.most}: ${row[goal.of] <= goal.most ? "PASS" : "MISS"}`
  return `| ${what} | ${unit} | ${n} | ${figure("median", median)} | ${figure("p99", p99)} | ${
    figure("max", max)
  } | ${verdict} |`
}

if (values.json) {
  const rows: Array<Row> = []
  for (const name of names) rows.push(...await sections[name]!())
  console.log(JSON.stringify(rows))
  process.exit(0)
}

const own = fileURLToPath(new URL("..", import.meta.url))
const figures = values.against === undefined ? "" : `, ${values.against} -> this`
console.log(`| what${figures} | unit | n | median | p99 | max | goal |\n| --- | --- | --- | --- | --- | --- | --- |`)
for (const name of names) {
  const ours: Array<ReadonlyArray<Row>> = []
  const theirs: Array<ReadonlyArray<Row>> = []
  for (let round = 0; round < Number(values.rounds); round++) {
    if (values.against !== undefined) theirs.push(elsewhere(values.against, name))
    ours.push(elsewhere(own, name))
  }
  const before = theirs.length === 0 ? undefined : merged(theirs)
  for (const [i, row] of merged(ours).entries()) console.log(line(row, before?.[i]))
}
process.exit(0)
