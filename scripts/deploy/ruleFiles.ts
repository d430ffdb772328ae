/** Prometheus' rule files. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { root } from "../exports.ts"
import type { Alert, Recording } from "./rules.ts"

/** A text in YAML: JSON's notation is valid in it. */
const text = (value: string): string => JSON.stringify(value)

/** Where the sources are: `repository` of package.json. */
const { repository = { url: "git+https://github.com/llamero/llamero.git" } }: {
  readonly repository?: { readonly url: string }
} = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))

/** Where a browser finds the pages of the alerts. */
export const pages = `${repository.url.replace(/^git\+/, "").replace(/\.git$/, "")}/blob/main/docs/alerts.md`

export const recordingFile = (recordings: ReadonlyArray<Recording>, interval?: string): string =>
  [
    "groups:",
    "  - name: llamero-recordings",
    ...interval === undefined ? [] : [`    interval: ${interval}`],
    "    rules:",
    ...recordings.flatMap(({ expr, record }) => [`      - record: ${text(record)}`, `        expr: ${text(expr)}`]),
    "",
  ].join("\n")

export const alertFile = (alerts: ReadonlyArray<Alert>, interval?: string): string =>
  [
    "groups:",
    "  - name: llamero-alerts",
    ...interval === undefined ? [] : [`    interval: ${interval}`],
    "    rules:",
    ...alerts.flatMap((rule) => [
      `      - alert: ${text(rule.alert)}`,
      `        expr: ${text(rule.expr)}`,
      `        for: ${rule.for}`,
      "        labels:",
      `          severity: ${rule.severity}`,
      "        annotations:",
      `          summary: ${text(rule.summary)}`,
      `          runbook_url: ${text(`${pages}#${rule.alert.toLowerCase()}`)}`,
    ]),
    "",
  ].join("\n")
