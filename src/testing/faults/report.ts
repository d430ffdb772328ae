/** What a number of seeds say about each invariant. */
import { rules } from "../invariants/rules.ts"
import type { Violation } from "../invariants/watch.ts"
import type { Played } from "./play.ts"

/** Violations that differ in numbers only, such as ids of requests. @category models @since 0.1.0 */
export interface AlikeViolations {
  /** The first of them. */
  readonly what: string
  readonly count: number
  /** The seeds in which they occurred. */
  readonly seeds: ReadonlyArray<number>
}

/** What a run says about one invariant. @category models @since 0.1.0 */
export interface InvariantReport {
  /** From 1 to 10; `0` is for errors that the router logged. */
  readonly invariant: number
  readonly name: string
  /** The invariant in words. */
  readonly rule: string
  readonly violations: ReadonlyArray<AlikeViolations>
  /** How often each situation occurred in which the invariant could have been broken. */
  readonly exercised: Readonly<Record<string, number>>
}

const shapeOf = (what: string): string => what.replaceAll(/\d+/g, "#")

const grouped = (found: ReadonlyArray<Violation & { readonly seed: number }>): ReadonlyArray<AlikeViolations> => {
  const groups = new Map<string, { readonly what: string; count: number; readonly seeds: Set<number> }>()
  for (const { seed, what } of found) {
    const shape = shapeOf(what)
    const group = groups.get(shape) ?? { what, count: 0, seeds: new Set() }
    groups.set(shape, group)
    group.count++
    group.seeds.add(seed)
  }
  return Array.from(groups.values(), (group) => ({ ...group, seeds: [...group.seeds] }))
}

/**
 * A report for each invariant, and for errors in the log, over all seeds that were played.
 *
 * @category accessors
 * @since 0.1.0
 */
export const report = (
  plays: ReadonlyArray<Pick<Played, "exercised" | "seed" | "violations">>,
): ReadonlyArray<InvariantReport> =>
  rules.map(([name, rule], invariant) => {
    const exercised: Record<string, number> = {}
    for (const one of plays.flatMap((played) => played.exercised)) {
      if (one.invariant !== invariant) continue
      for (const [situation, count] of Object.entries(one.situations)) {
        exercised[situation] = (exercised[situation] ?? 0) + count
      }
    }
    const found = plays.flatMap(({ seed, violations }) => violations.map((violation) => ({ ...violation, seed })))
    return { invariant, name, rule, violations: grouped(found.filter((one) => one.invariant === invariant)), exercised }
  })

/** The situations of an invariant that never occurred. @category accessors @since 0.1.0 */
export const unexercised = ({ exercised }: InvariantReport): ReadonlyArray<string> =>
  Object.entries(exercised).filter(([, count]) => count === 0).map(([situation]) => situation)

const shownMax = 20

/**
 * A report in words, several lines: its violations, each kind once, and how often it was exercised.
 *
 * @category accessors
 * @since 0.1.0
 */
export const explain = (one: InvariantReport): string => {
  const { exercised, invariant, name, rule, violations } = one
  const shown = violations.slice(0, shownMax).map(({ count, seeds, what }) =>
    `  ${count} x in seed ${seeds.join(", ")}: ${what}`
  )
  const more = violations.length > shownMax ? [`  and ${violations.length - shownMax} other kinds`] : []
  const total = violations.reduce((sum, { count }) => sum + count, 0)
  const counts = Object.entries(exercised).map(([situation, count]) => `${count} ${situation}`)
  return [
    `invariant ${invariant} (${name}), ${rule}: ${total} violations`,
    ...shown,
    ...more,
    ...(counts.length > 0 ? [`  exercised by ${counts.join(", ")}`] : []),
    ...unexercised(one).map((situation) => `  never exercised: there were no ${situation}`),
  ].join("\n")
}
