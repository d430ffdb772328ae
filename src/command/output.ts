/**
 * How commands print: tables for people, one JSON value for programs. The words of others (names of models, errors of
 * backends) are printed without control characters: they could change the terminal.
 *
 * @since 0.1.0
 */
import { Console, Effect } from "effect"
import { CliOutput, TerminalCapabilities } from "effect/cli"

/** What a text means: colours on a terminal, nothing elsewhere. @category models @since 0.1.0 */
export type Tone = "head" | "good" | "warn" | "bad" | "dim"

/** A text, or a text with its meaning. @category models @since 0.1.0 */
export type Cell = string | readonly [Tone, string]

/** Gives a text its colour. @category models @since 0.1.0 */
export type Paint = (tone: Tone, text: string) => string

/** A column by its title. Numbers stand at its right edge. @category models @since 0.1.0 */
export type Column = string | { readonly right: string }

const codes: Readonly<Record<Tone, number>> = { head: 1, good: 32, warn: 33, bad: 31, dim: 2 }

/** @category constructors @since 0.1.0 */
export const paintWith = (canColor: boolean): Paint => (tone, text) =>
  canColor && text !== "" ? `\x1b[${codes[tone]}m${text}\x1b[0m` : text

/** Control characters, and those that turn the direction of text. */
const unsafe = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/** A text of somebody else, without what could change the terminal. @category conversions @since 0.1.0 */
export const plain = (text: string): string => text.replaceAll(unsafe, "\uFFFD")

const textOf = (cell: Cell): string => plain(typeof cell === "string" ? cell : cell[1])

/**
 * Rows under their titles, in columns as wide as their longest text, two blanks apart. No line ends in blanks.
 *
 * @category rendering
 * @since 0.1.0
 */
export const table = (
  columns: ReadonlyArray<Column>,
  rows: ReadonlyArray<ReadonlyArray<Cell>>,
  paint: Paint,
): string => {
  const titles = columns.map((column): Cell => ["head", typeof column === "string" ? column : column.right])
  const all = [titles, ...rows]
  const widths = columns.map((_, index) =>
    all.reduce((most, row) => Math.max(most, CliOutput.displayWidth(textOf(row[index] ?? ""))), 0)
  )
  const line = (row: ReadonlyArray<Cell>): string => {
    const lastUsed = row.findLastIndex((cell) => textOf(cell) !== "")
    return row.slice(0, lastUsed + 1).map((cell, index) => {
      const text = textOf(cell)
      const blanks = " ".repeat(widths[index]! - CliOutput.displayWidth(text))
      const painted = typeof cell === "string" ? text : paint(cell[0], text)
      if (typeof columns[index] !== "string") return blanks + painted
      return index === lastUsed ? painted : painted + blanks
    }).join("  ")
  }
  return all.map(line).join("\n")
}

/**
 * Prints a value as JSON, or the text for people.
 *
 * @category printing
 * @since 0.1.0
 */
export const print = (isJson: boolean, value: unknown, text: (paint: Paint) => string): Effect.Effect<void> =>
  Effect.flatMap(
    TerminalCapabilities.TerminalCapabilities,
    ({ canColor }) => Console.log(isJson ? JSON.stringify(value, undefined, 2) : text(paintWith(canColor))),
  )
