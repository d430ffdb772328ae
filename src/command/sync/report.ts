/**
 * What `llamero sync` found and did, for programs and for people.
 *
 * @since 0.1.0
 */
import * as Format from "../format.ts"
import * as Output from "../output.ts"
import type { Ended } from "./perform.ts"
import { isGood, type Plan } from "./plan.ts"

/** @category models @since 0.1.0 */
export interface Report {
  /** Whether pulls were performed, or only planned. */
  readonly applied: boolean
  /** Whether every wanted model is there, with one content everywhere. */
  readonly ok: boolean
  readonly models: Plan["places"]
  readonly differences: Plan["differences"]
  readonly pulls: ReadonlyArray<{
    readonly backend: string
    readonly model: string
    readonly registry: string
    readonly why: "missing" | "differs"
    readonly state: "planned" | "done" | "failed"
    readonly reason: string
  }>
}

/**
 * `before` is the plan. `after` is what was found when its pulls had ended, the plan itself where none was performed.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (before: Plan, after: Plan, ended: ReadonlyArray<Ended> | undefined): Report => ({
  applied: ended !== undefined,
  ok: isGood(after),
  models: after.places,
  differences: after.differences,
  pulls: before.pulls.map((pull) => {
    const { backend, model, registry, why } = pull
    const end = ended?.find((one) => one.pull === pull)
    const state = end === undefined ? "planned" : end.failure === "" ? "done" : "failed"
    return { backend, model, registry, why, state, reason: end?.failure ?? "" }
  }),
})

const tones = { present: "good", missing: "bad", unknown: "bad" } as const

/** Digests are told apart by their beginning. */
const short = (digest: string): string => digest.slice(0, 12)

const rowOf = ({ applied, differences, pulls }: Report) => (place: Plan["places"][number]) => {
  const { backend, digest, model, reason, state } = place
  const pull = pulls.find((one) => one.backend === backend && one.model === model)
  const done = pull === undefined
    ? ""
    : pull.state === "done"
    ? "pulled"
    : pull.state === "failed"
    ? "not pulled"
    : "to pull"
  const differs = differences.some((one) => one.model === model) && digest !== null
  const row: ReadonlyArray<Output.Cell> = [
    model,
    backend,
    [tones[state], state],
    digest === null ? "" : differs ? ["warn", short(digest)] : short(digest),
    done === "" ? "" : [applied && pull!.state === "failed" ? "bad" : "warn", done],
    reason !== "" ? reason : pull?.reason ?? "",
  ]
  return row
}

/** The last line: what is to do, or that nothing is. @category accessors @since 0.1.0 */
export const conclusion = ({ applied, differences, models, ok, pulls }: Report): string => {
  if (ok) {
    const done = applied && pulls.length > 0 ? ` ${Format.count(pulls.length, "pull")} done.` : ""
    return `Every model is where it should be, with the same content everywhere.${done}`
  }
  const missing = models.filter(({ state }) => state === "missing").length
  const unknown = new Set(models.filter(({ state }) => state === "unknown").map(({ backend }) => backend)).size
  const parts = [
    ...(missing === 0 ? [] : [`${missing} of ${Format.count(models.length, "wanted model")} missing`]),
    ...(unknown === 0 ? [] : [`${Format.count(unknown, "backend")} did not answer`]),
    ...(differences.length === 0 ? [] : [`${Format.count(differences.length, "model")} with different contents`]),
  ]
  const toDo = pulls.filter(({ state }) => state === "planned").length
  const hint = toDo === 0
    ? differences.length > 0 && !pulls.some(({ why }) => why === "differs")
      ? " `--repair` pulls those with different contents."
      : ""
    : ` \`--apply\` performs ${Format.count(toDo, "pull")}.`
  return `${parts.join(", ")}.${hint}`
}

/** The report for people, without its conclusion. @category rendering @since 0.1.0 */
export const text = (report: Report, paint: Output.Paint): string => {
  const columns = ["MODEL", "BACKEND", "STATE", "DIGEST", "PULL", "WHY"]
  const rows = report.models.toSorted((a, b) => a.model < b.model ? -1 : a.model > b.model ? 1 : 0)
  const differences = report.differences.flatMap(({ model, versions }) => [
    "",
    paint("warn", Output.plain(`${model} has different contents:`)),
    ...versions.map(({ backends, digest }) => Output.plain(`  ${short(digest)}  ${backends.join(", ")}`)),
  ])
  return [Output.table(columns, rows.map(rowOf(report)), paint), ...differences].join("\n")
}
