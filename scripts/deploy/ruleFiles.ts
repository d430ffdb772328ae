/** Prometheus' rule files. */
import type { Alert, Recording } from "./rules.ts"

/** A text in YAML: JSON's notation is valid in it. */
const text = (value: string): string => JSON.stringify(value)

/** Where the pages of the alerts are. */
const pages = "docs/alerts.md"

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
