/**
 * A line of a terminal: texts with their colours, cut to the width of the terminal.
 *
 * @since 0.1.0
 */
import { CliOutput } from "effect/cli"
import { plain } from "../output.ts"

/** What a text means, or the number of a model's colour. @category models @since 0.1.0 */
export type Color = "head" | "good" | "warn" | "bad" | "dim" | number

/** A text in one colour. @category models @since 0.1.0 */
export interface Span {
  readonly text: string
  readonly color?: Color | undefined
}

/** @category models @since 0.1.0 */
export type Line = ReadonlyArray<Span>

/** Colours of models: cyan, magenta, blue, green, yellow, and bright ones. @category constants @since 0.1.0 */
export const hues = [36, 35, 34, 32, 33, 96, 95, 94] as const

const codes = { head: 1, good: 32, warn: 33, bad: 31, dim: 2 } as const

const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" })
const isSimple = (text: string): boolean => /^[\x20-\x7e\u2580-\u259f]*$/.test(text)

/** Columns that a text takes. @category accessors @since 0.1.0 */
export const widthOf = (text: string): number => isSimple(text) ? text.length : CliOutput.displayWidth(text)

/** As much of a text as fits, with a mark where some is left out. @category conversions @since 0.1.0 */
export const cut = (text: string, width: number, mark = "…"): string => {
  if (width <= 0) return ""
  if (widthOf(text) <= width) return text
  let kept = ""
  let left = width - 1
  for (const { segment } of segmenter.segment(text)) {
    left -= widthOf(segment)
    if (left < 0) break
    kept += segment
  }
  return kept + mark
}

/** A text in exactly so many columns. @category conversions @since 0.1.0 */
export const pad = (text: string, width: number, mark?: string): string => {
  const kept = cut(text, width, mark)
  return kept + " ".repeat(Math.max(0, width - widthOf(kept)))
}

/** The same at the right edge. @category conversions @since 0.1.0 */
export const padLeft = (text: string, width: number, mark?: string): string => {
  const kept = cut(text, width, mark)
  return " ".repeat(Math.max(0, width - widthOf(kept))) + kept
}

/** A span of words that may come from others. @category constructors @since 0.1.0 */
export const span = (text: string, color?: Color): Span => ({ text: plain(text), color })

/** The line in so many columns at most. @category conversions @since 0.1.0 */
export const fit = (line: Line, width: number, mark?: string): Line => {
  const kept: Array<Span> = []
  let left = width
  for (const one of line) {
    if (left <= 0) break
    const text = cut(one.text, left, mark)
    kept.push({ ...one, text })
    left -= widthOf(text)
    if (text !== one.text) break
  }
  return kept
}

/** The line as text, with colours where the terminal has them. @category rendering @since 0.1.0 */
export const render = (line: Line, canColor: boolean): string => {
  const text = line.map(({ color, text }) => {
    if (!canColor || color === undefined || text === "") return text
    const code = typeof color === "number" ? hues[color % hues.length] : codes[color]
    return `\x1b[${code}m${text}\x1b[0m`
  }).join("")
  return canColor ? text : text.trimEnd()
}
