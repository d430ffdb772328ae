/** Tables in Markdown: one for each load, and one of the figures in which a peer is ahead of llamero. */
import type { Spread } from "../statistics.ts"
import { added, type Figure, figures, type Line, over, ratio, type Value } from "./figures.ts"
import type { Load } from "./loads.ts"
import type { Group } from "./options.ts"

export type { Line } from "./figures.ts"

const TARGET = "llamero"
const UPSTREAM = "direct"
/** A difference that is smaller is not called ahead. */
const AHEAD = 0.03

/** A round without an answer has no cost of an answer. */
const number = (value: number, digits: number) =>
  Number.isFinite(value)
    ? value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })
    : "-"
/** Three digits: `0.123`, `1.23`, `12.3`, `123`. */
const short = (value: number) => number(value, Math.max(0, 2 - Math.floor(Math.log10(Math.max(0.1, Math.abs(value))))))
const median = (value: Spread | undefined, show = short) => value ? show(value.median) : "-"
const range = ({ max, median, min }: Spread, show = short) => `${show(median)} (${show(min)}..${show(max)})`

type Row = ReadonlyArray<string>

const table = (header: Row, body: ReadonlyArray<Row>): string => {
  const widths = header.map((title, column) => Math.max(title.length, ...body.map((row) => row[column]!.length)))
  const line = (row: Row) => `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`
  return [line(header), line(widths.map((width) => "-".repeat(width))), ...body.map(line)].join("\n")
}

const sameApi = (all: ReadonlyArray<Line>, { api }: Line, name: string) =>
  all.find((line) => line.name === name && line.api === api)

const spoken = { ollama: "Ollama", openai: "OpenAI" } as const

const titled = ({ api, name, version }: Line): Row => [`${name} ${version.split("-")[0]}`, spoken[api]]

const percentiles = (line: Line, group: Group, show: (line: Line, value: Value) => string) =>
  (["p50", "p95", "p99"] as const).map((value) => line.samples[group] ? show(line, value) : "-").join(" / ")

const closed = (all: ReadonlyArray<Line>, group: "json" | "stream", unit: string): string =>
  table(
    [
      "peer",
      "API",
      "answers",
      `${unit}/s (lowest..highest)`,
      "llamero / peer",
      "p50 / p95 / p99 ms",
      "CPU us",
      "errors",
    ],
    all.filter(({ name }) => name !== UPSTREAM).map((line) => {
      const answer = line.checked[group]
      const llamero = sameApi(all, line, TARGET)
      const rate = over(line, group, "rate")
      const times = llamero && line !== llamero ? ratio(llamero, line, group, "rate") : undefined
      const errors = (line.samples[group] ?? []).reduce((sum, sample) => sum + sample.errors, 0)
      return [
        ...titled(line),
        answer instanceof Error ? "wrong" : answer,
        rate ? range(rate, (value) => number(value, value < 100 ? 1 : 0)) : "fails",
        times ? range(times) : "-",
        percentiles(line, group, (one, value) => median(over(one, group, value))),
        median(over(line, group, "cpu"), (value) => number(value, 0)),
        String(errors),
      ]
    }),
  )

const paced = (all: ReadonlyArray<Line>): string =>
  table(
    ["peer", "API", "answers/s", "added p50 / p95 / p99 ms", "CPU us"],
    all.filter(({ name }) => name !== UPSTREAM).map((line) => {
      const direct = sameApi(all, line, UPSTREAM)
      return [
        ...titled(line),
        median(over(line, "paced", "rate"), (value) => number(value, 0)),
        direct ? percentiles(line, "paced", (one, value) => median(added(one, direct, "paced", value))) : "-",
        median(over(line, "paced", "cpu"), (value) => number(value, 0)),
      ]
    }),
  )

const open = (all: ReadonlyArray<Line>, streams: number): string =>
  table(
    ["peer", "API", "first chunk ms", "streams served", "idle MiB", "MiB with the streams", "MiB/llamero's"],
    all.filter(({ name }) => name !== UPSTREAM).map((line) => {
      const { firstChunkMs } = line.checked
      const llamero = sameApi(all, line, TARGET)
      const times = llamero && line !== llamero ? ratio(line, llamero, "open", "rss") : undefined
      return [
        ...titled(line),
        firstChunkMs instanceof Error ? "fails" : number(firstChunkMs, 0),
        `${median(over(line, "open", "served"), (value) => number(value, 0))} of ${streams}`,
        median(over(line, "open", "idle"), (value) => number(value, 0)),
        median(over(line, "open", "rss"), (value) => number(value, 0)),
        times ? range(times) : "-",
      ]
    }),
  )

/** One row for each API: llamero's figure, and the peers whose figure is better. */
const ahead = (all: ReadonlyArray<Line>, { added: isAdded, best, group, says, value }: Figure): ReadonlyArray<Row> =>
  all.filter(({ name }) => name === TARGET).flatMap((llamero) => {
    const direct = sameApi(all, llamero, UPSTREAM)
    const of = (line: Line) =>
      (isAdded ? direct && added(line, direct, group, value) : over(line, group, value))?.median
    const ours = of(llamero)
    if (ours === undefined) return []
    const better = all.flatMap((line) => {
      const theirs = line.api === llamero.api && line !== direct ? of(line) : undefined
      if (theirs === undefined) return []
      const isAhead = best === "high" ? theirs > ours * (1 + AHEAD) : theirs < ours * (1 - AHEAD)
      return isAhead ? [`${line.name} ${short(theirs)}`] : []
    })
    return better.length === 0 ? [] : [[says, spoken[llamero.api], short(ours), better.join(", ")]]
  })

const failures = (all: ReadonlyArray<Line>): ReadonlyArray<string> =>
  all.flatMap((line) => [
    ...Array.from(
      Map.groupBy(Object.entries(line.failed), ([, why]) => why.split("\n")[0]!),
      ([why, failed]) => `${line.name} fails at ${failed.map(([group]) => group).join(", ")}: ${why}`,
    ),
    ...(line.restarts > 0
      ? [`${line.name} refused all requests after clients had left, and was started again (${line.restarts} x)`]
      : []),
    ...(line.checked.firstChunkMs instanceof Error
      ? [`${line.name}, first chunk of a slow stream: ${line.checked.firstChunkMs.message}`]
      : []),
  ])

export const report = (
  all: ReadonlyArray<Line>,
  loads: ReadonlyArray<Pick<Load, "group" | "title">>,
  streams: number,
): string => {
  const tables: Readonly<Record<Group, () => string>> = {
    json: () => closed(all, "json", "req"),
    stream: () => closed(all, "stream", "streams"),
    paced: () => paced(all),
    open: () => open(all, streams),
  }
  const rows = figures.filter(({ group }) => loads.some((load) => load.group === group))
    .flatMap((figure) => ahead(all, figure))
  return [
    ...loads.map(({ group, title }) => `${title}\n\n${tables[group]()}`),
    `Where a peer is ahead\n\n${table(["figure", "API", "llamero", "ahead of it"], rows)}`,
    failures(all).join("\n"),
  ].filter((text) => text !== "").join("\n\n")
}
