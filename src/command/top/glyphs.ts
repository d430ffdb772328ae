/**
 * The characters of bars and of small graphs: Unicode blocks, or ASCII for terminals without them.
 *
 * @since 0.1.0
 */
import type { Kind } from "../state/bars.ts"

/** @category models @since 0.1.0 */
export interface Glyphs {
  /** Two models side by side have different ones. */
  readonly models: readonly [string, string]
  readonly kinds: Readonly<Record<Exclude<Kind, "model">, string>>
  /** Heights of a graph, the lowest first. */
  readonly heights: string
  readonly dot: string
  /** Where a text was cut. */
  readonly cut: string
}

/** @category constants @since 0.1.0 */
export const unicode: Glyphs = {
  models: ["█", "▓"],
  kinds: { held: "▒", others: "▚", reserve: "╌", free: "·" },
  heights: "▁▂▃▄▅▆▇█",
  dot: " · ",
  cut: "…",
}

/** @category constants @since 0.1.0 */
export const ascii: Glyphs = {
  models: ["#", "="],
  kinds: { held: "~", others: "x", reserve: "-", free: "." },
  heights: "_.,-=+*#",
  dot: ", ",
  cut: ">",
}

/**
 * The last values as a graph, one column each, the newest at the right edge. Blank where nothing is known.
 *
 * @category rendering
 * @since 0.1.0
 */
export const spark = (values: ReadonlyArray<number | null>, width: number, { heights }: Glyphs): string => {
  if (width <= 0) return ""
  const shown = values.slice(-width)
  const most = shown.reduce<number>((most, value) => Math.max(most, value ?? 0), 0)
  const steps = Array.from(heights)
  const text = shown.map((value) =>
    value === null ? " " : steps[most === 0 ? 0 : Math.min(steps.length - 1, Math.floor(value / most * steps.length))]
  ).join("")
  return text.padStart(width)
}
