/**
 * The head of the frame of `llamero top`: the router, its sums, and its rates as small graphs.
 *
 * @since 0.1.0
 */
import * as Format from "../format.ts"
import { urgency } from "../state/state.ts"
import type { Rates } from "../state/rates.ts"
import { spark } from "./glyphs.ts"
import { type Color, type Line, padLeft, type Span, span, widthOf } from "./line.ts"
import type { View } from "./view.ts"

const linkColors: Readonly<Record<View["link"], Color>> = { live: "good", polling: "warn", reconnecting: "bad" }

/** Who answers, and whether what is shown is true now. */
const title = ({ keys, link, now, url }: View, columns: number): Line => {
  const right = [
    span(link, linkColors[link]),
    span(`  ${Format.clock(now)}`),
    span(keys === "" ? "" : `  ${keys}`, "dim"),
  ]
  const rightWidth = right.reduce((sum, { text }) => sum + widthOf(text), 0)
  const left = span(`llamero ${url}`, "head")
  const gap = columns - widthOf(left.text) - rightWidth
  return gap >= 2 ? [left, span(" ".repeat(gap)), ...right] : [right[0]!, span("  "), left]
}

const breakersOf = ({ state: { breakers } }: View): Span => {
  const open = breakers.filter(({ state }) => state !== "closed").length
  return open === 0 ? span("breakers closed", "good") : span(`${Format.count(open, "breaker")} not closed`, "bad")
}

const sums = (view: View): Line => {
  const { backends, queues, router } = view.state
  const well = backends.filter((one) => urgency(one) === 0).length
  const queued = queues.reduce((sum, { depth }) => sum + depth, 0)
  const dot = span(view.glyphs.dot, "dim")
  return [
    span(`${well} of ${Format.count(backends.length, "backend")} well`, well === backends.length ? "good" : "warn"),
    dot,
    breakersOf(view),
    dot,
    span(Format.count(router.requests, "request")),
    dot,
    span(`${Format.number(queued)} queued`, queued === 0 ? undefined : "warn"),
    dot,
    span(Format.count(router.leases, "stream")),
  ]
}

interface Measure {
  readonly name: string
  readonly of: keyof Rates
  readonly text: (value: number | null) => string
}

const perSecond = (value: number | null): string => `${Format.number(value)}/s`

const measures: ReadonlyArray<Measure> = [
  { name: "requests", of: "requests", text: perSecond },
  { name: "tokens", of: "tokens", text: perSecond },
  { name: "routing p95", of: "routing", text: Format.seconds },
  { name: "dispatch", of: "dispatch", text: Format.seconds },
  { name: "first byte", of: "firstByte", text: Format.seconds },
  { name: "failed", of: "failed", text: perSecond },
]

const nameWidth = 12
const valueWidth = 9
/** Columns of one graph with its words, at least. */
const graphMin = 33

/** One graph with its name and its value now, in so many columns. */
const graph = ({ glyphs, history: { points } }: View, { name, of, text }: Measure, width: number): Line => {
  const now = points.at(-1)?.[of] ?? null
  const rest = width - nameWidth - valueWidth - 2
  const isBad = of === "failed" && (now ?? 0) > 0
  return [
    span(name.padEnd(nameWidth), "dim"),
    span(padLeft(text(now), valueWidth), isBad ? "bad" : "head"),
    span(" "),
    span(spark(points.map((point) => point[of]), Math.min(60, rest), glyphs), isBad ? "bad" : 0),
  ]
}

/** As many graphs side by side as have place, in so many lines at most. */
const graphs = (view: View, columns: number, linesMax: number): ReadonlyArray<Line> => {
  const side = Math.max(1, Math.min(measures.length, Math.floor(columns / graphMin)))
  const width = Math.floor(columns / side)
  const lines: Array<Line> = []
  for (let at = 0; at < measures.length && lines.length < linesMax; at += side) {
    lines.push(measures.slice(at, at + side).flatMap((measure) => [...graph(view, measure, width - 1), span(" ")]))
  }
  return lines
}

/** @category rendering @since 0.1.0 */
export const head = (view: View, columns: number, rows: number): ReadonlyArray<Line> => [
  title(view, columns),
  sums(view),
  ...graphs(view, columns, rows < 10 ? 0 : rows < 20 ? 2 : 6),
]
