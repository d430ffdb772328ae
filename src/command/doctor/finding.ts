/**
 * What a check finds: the symptom, its cause and the remedy.
 *
 * @since 0.1.0
 */
import { type Id, kinds, type Severity } from "./kinds.ts"
import type { Observations } from "./observations.ts"

/** One thing that is wrong, or could be better. */
export interface Finding {
  readonly id: Id
  readonly severity: Severity
  /** The backend, device, model, variable or setting that it is about. */
  readonly subject: string
  /** What was seen. */
  readonly symptom: string
  /** Why it is so, or what follows from it. */
  readonly cause: string
  /** What to do. */
  readonly remedy: string
}

/** A check: pure, and silent about what is not known. */
export type Check = (observations: Observations) => ReadonlyArray<Finding>

/** A finding of a kind. */
export const finding = (id: Id, parts: Omit<Finding, "id" | "severity">): Finding => ({
  id,
  severity: kinds[id].severity,
  ...parts,
})

/** Bytes for people. */
export const bytes = (count: number): string =>
  count >= 1024 ** 3 ? `${(count / 1024 ** 3).toFixed(1)} GiB` : `${Math.round(count / 1024 ** 2)} MiB`

/** Milliseconds for people: `500 ms`, `1.5 s`, `5 min`. */
export const time = (millis: number): string => {
  if (!Number.isFinite(millis)) return "no limit"
  if (Math.abs(millis) < 1000) return `${Math.round(millis)} ms`
  const seconds = millis / 1000
  return seconds >= 120 && seconds % 60 === 0 ? `${seconds / 60} min` : `${Number(seconds.toFixed(1))} s`
}

/** Names in a row: `a`, `a and b`, `a, b and c`. */
export const names = (all: ReadonlyArray<string>): string =>
  all.length < 2 ? all.join("") : `${all.slice(0, -1).join(", ")} and ${all[all.length - 1]}`
