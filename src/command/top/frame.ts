/**
 * The frame of `llamero top`: a pure function of what is known and of the size of the terminal.
 *
 * No library draws it. The ones for Node bring dozens of packages and a tree of widgets (ink: React and a layout
 * engine), and none is needed to put lines of text one below the other.
 *
 * @since 0.1.0
 */
import * as Format from "../format.ts"
import { problems } from "../state/state.ts"
import { backendLines } from "./backendLines.ts"
import { ascii } from "./glyphs.ts"
import { head } from "./head.ts"
import { fit, type Line, span } from "./line.ts"
import type { View } from "./view.ts"

/** Lines of a list, and how many of it are left out. */
const limited = (list: ReadonlyArray<Line>, most: number, what: string, mark: string): ReadonlyArray<Line> =>
  list.length <= most
    ? list
    : [...list.slice(0, most - 1), [span(`${mark} ${Format.count(list.length - most + 1, `more ${what}`)}`, "dim")]]

const problemLines = ({ glyphs, state }: View, most: number): ReadonlyArray<Line> =>
  limited(problems(state).map(({ level, text }) => [span(`! ${text}`, level)]), most, "problem", glyphs.cut)

const queueLines = ({ glyphs, state: { queues } }: View, most: number): ReadonlyArray<Line> => {
  if (queues.length === 0) return []
  const rows = queues.toSorted((a, b) => b.depth - a.depth).map((one): Line => [
    span(`${one.model}  `),
    span(`${Format.number(one.depth)} waiting`, "warn"),
    span(
      `  oldest ${Format.seconds(one.oldest_seconds)}, expected wait ${Format.seconds(one.estimated_wait_seconds)}` +
        `  ${Format.some(one.tenants.map(({ depth, tenant }) => `${tenant || "(none)"} ${depth}`), 3)}`,
      "dim",
    ),
  ])
  return [[span("QUEUES", "head")], ...limited(rows, most, "queue", glyphs.cut)]
}

const prewarmLines = ({ glyphs, state: { prewarm } }: View, most: number): ReadonlyArray<Line> => {
  const due = prewarm.filter(({ state }) => state !== "resident")
  if (due.length === 0) return []
  const rows = due.map(({ backend, model, plan, state }): Line => [
    span(`${model}${backend === null ? "" : ` on ${backend}`}  `),
    span(state, state === "failed" ? "bad" : "warn"),
    span(`  ${plan}`, "dim"),
  ])
  return [[span("PREWARM", "head")], ...limited(rows, most, "model", glyphs.cut)]
}

/** A line for a terminal without Unicode. */
const inAscii = (line: Line): Line =>
  line.map((one) => ({ ...one, text: one.text.replaceAll("–", "-").replaceAll(/[^\x20-\x7e]/g, "?") }))

/** Lines that a list gets in a terminal of so many rows. */
const share = (rows: number): number => rows < 12 ? 0 : rows < 20 ? 2 : rows < 40 ? 4 : rows === Infinity ? Infinity : 8

/** What stands below the backends. */
const below = (view: View, rows: number): ReadonlyArray<Line> => {
  const most = share(rows)
  if (most === 0) return []
  return rows < 20 ? queueLines(view, 2) : [...queueLines(view, most), ...prewarmLines(view, most)]
}

/**
 * At most `rows` lines of at most `columns` columns. `Infinity` rows show everything.
 *
 * @category rendering
 * @since 0.1.0
 */
export const frame = (view: View, columns: number, rows: number): ReadonlyArray<Line> => {
  const most = share(rows)
  const top = head(view, columns, rows)
  const trouble = most === 0 ? [] : problemLines(view, most)
  const tail = below(view, rows)
  const gaps = rows < 20 ? 0 : tail.length > 0 ? 2 : 1
  const place = Math.max(3, rows - top.length - trouble.length - tail.length - gaps)
  const gap: ReadonlyArray<Line> = gaps === 0 ? [] : [[]]
  const all = [
    ...top,
    ...trouble,
    ...gap,
    ...backendLines(view, columns, place),
    ...(gaps === 2 ? [[]] : []),
    ...tail,
  ]
  const { glyphs } = view
  return all.slice(0, rows).map((line) => fit(glyphs === ascii ? inAscii(line) : line, columns, glyphs.cut))
}
