/**
 * Writes `deploy/`: Grafana's dashboards and Prometheus' rules. `npm run dashboards` does it, and so does
 * `npm run tables`, which writes the list of the metrics first. `test/deploy/rules.test.ts` fails when one is stale.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { root } from "../exports.ts"
import { grafana } from "./grafana.ts"
import { dashboards } from "./panels.ts"
import { prometheusRule } from "./prometheusRule.ts"
import { alertFile, recordingFile } from "./ruleFiles.ts"
import { alerts, recordings } from "./rules.ts"

const written = "# Written by `npm run dashboards`. Change scripts/deploy/rules.ts instead.\n"

/** The text of each generated file below `deploy`. */
export const files = (): ReadonlyMap<string, string> =>
  new Map([
    ...dashboards.map((dashboard) => [`grafana/${dashboard.uid}.json`, grafana(dashboard)] as const),
    ["prometheus/recording.rules.yml", written + recordingFile(recordings)],
    ["prometheus/alerts.rules.yml", written + alertFile(alerts)],
    ["kubernetes/components/monitoring/rules.yaml", written + prometheusRule(recordings, alerts)],
  ])

if (import.meta.main) {
  for (const [file, text] of files()) {
    const path = join(root, "deploy", file)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
}
