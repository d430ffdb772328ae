/** Dashboards, rules and the pages of alerts: written from the code, and right. */
import { assert, describe, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { definitionOf, definitions, metricsOf } from "../../scripts/deploy/definitions.ts"
import { dashboards } from "../../scripts/deploy/panels.ts"
import { alertFile, pages, recordingFile } from "../../scripts/deploy/ruleFiles.ts"
import { alerts, recordings, shortened } from "../../scripts/deploy/rules.ts"
import { files } from "../../scripts/deploy/write.ts"
import { root } from "../../scripts/exports.ts"
import { absent, promtool, withFiles } from "./promtool.ts"
import { type Case, cases } from "./ruleCases.ts"

if (absent !== undefined) console.log(`rules are not tested with promtool: ${absent}`)
const ruleFiles = { "recording.yml": recordingFile(recordings), "alerts.yml": alertFile(alerts) }

/** A test file of promtool. What fires is asked as a query, so that no texts have to be repeated. */
const testOf = ({ alert, at, fires, series }: Case): string => {
  const { severity } = alerts.find((one) => one.alert === alert)!
  const firing = fires.map((labels) => ({
    labels: `ALERTS{alertname="${alert}", alertstate="firing", severity="${severity}", ${labels}}`,
    value: 1,
  }))
  const tests = [{
    interval: "1m",
    input_series: Object.entries(series).map(([series, values]) => ({ series, values })),
    promql_expr_test: [
      { expr: `ALERTS{alertname="${alert}", alertstate="firing"}`, eval_time: at, exp_samples: firing },
    ],
  }]
  // JSON is YAML.
  return JSON.stringify({ rule_files: ["recording.yml", "alerts.yml"], evaluation_interval: "30s", tests })
}

describe("deploy", () => {
  it("has the files as the code writes them now", () => {
    for (const [file, text] of files()) {
      const path = join(root, "deploy", file)
      assert.isTrue(
        existsSync(path) && readFileSync(path, "utf8") === text,
        `deploy/${file} is stale: npm run dashboards`,
      )
    }
  })

  it("asks only for metrics and labels that there are", () => {
    const expressions = [
      ...dashboards.flatMap(({ panels }) => panels.flatMap(({ queries }) => queries.map(({ expr }) => expr))),
      ...[...recordings, ...alerts].map(({ expr }) => expr.replaceAll(/[a-z_]+:llamero_\w+:\w+/g, "")),
    ]
    for (const expr of expressions) {
      const names = metricsOf(expr)
      for (const name of names) definitionOf(name)
      const known = new Set(["instance", "le", "job", ...names.flatMap((name) => definitionOf(name).labels)])
      for (const [, labels = ""] of expr.matchAll(/(?:by|on) \(([^)]*)\)/g)) {
        for (const label of labels.split(", ")) assert.isTrue(known.has(label), `${label} in ${expr}`)
      }
    }
  })

  it("shows every metric, apart from a few", () => {
    const shown = new Set(
      dashboards.flatMap(({ panels }) =>
        panels.flatMap(({ queries }) => queries.flatMap(({ expr }) => metricsOf(expr)))
      ),
    )
    const left = [...definitions.keys()].filter((name) => !shown.has(name))
    assert.sameMembers(left, [
      // In the numbers that are shown, or of use only beside them.
      ...["llamero_device_total_bytes", "llamero_draining", "llamero_heap_total_bytes", "llamero_leases"],
      ...["llamero_model_resident", "llamero_hedges_total", "llamero_rewrites_total", "llamero_guard_verdicts_total"],
      ...["llamero_shadow_decisions_total", "llamero_reloads_total"],
    ])
  })

  it("has a page for each alert, and none for others", () => {
    const page = readFileSync(join(root, "docs/alerts.md"), "utf8")
    const sections = page.split(/^## /m).slice(1)
    assert.sameMembers(sections.map((section) => section.split("\n")[0]!), alerts.map(({ alert }) => alert))
    for (const section of sections) {
      for (const part of ["**What it means.**", "**What to look at.**", "**What to do.**"]) {
        assert.include(section, part, section.split("\n")[0])
      }
    }
  })

  it("names the page of each alert with an address that a browser can open", () => {
    const urls = Array.from(alertFile(alerts).matchAll(/runbook_url: "(.*)"/g), ([, url = ""]) => url)
    assert.lengthOf(urls, alerts.length)
    const anchors = Array.from(
      readFileSync(join(root, "docs/alerts.md"), "utf8").matchAll(/^## (.*)$/gm),
      ([, title = ""]) => `#${title.toLowerCase()}`,
    )
    for (const url of urls) {
      const { hash, origin, pathname, protocol } = new URL(url)
      assert.strictEqual(protocol, "https:")
      assert.include(anchors, hash)
      assert.strictEqual(`${origin}${pathname}`, pages)
      assert.match(pathname, /^\/[\w-]+\/[\w-]+\/blob\/main\/docs\/alerts\.md$/)
    }
  })

  it("shortens every wait and window for tests, and nothing else", () => {
    const short = shortened(60)
    assert.deepStrictEqual(short.alerts.map(({ alert }) => alert), alerts.map(({ alert }) => alert))
    for (const { expr } of [...short.alerts, ...short.recordings]) assert.notMatch(expr, /\[\d+[mh]\]|offset \d+[mh]/)
    assert.strictEqual(short.alerts.find(({ alert }) => alert === "LlameroNotReady")?.for, "4s")
    assert.strictEqual(short.alerts.find(({ alert }) => alert === "LlameroBreakerFlaps")?.for, "0s")
  })

  it("tests each alert with a case that fires and, mostly, with cases that do not", () => {
    for (const { alert } of alerts) {
      assert.isTrue(cases.some((one) => one.alert === alert && one.fires.length > 0), alert)
    }
  })
})

describe.skipIf(absent !== undefined)("the rules, by promtool", () => {
  it("are valid", () => {
    withFiles(ruleFiles, (folder) => {
      const checked = promtool("check", "rules", join(folder, "recording.yml"), join(folder, "alerts.yml"))
      assert.isTrue(checked.ok, checked.printed)
    })
  })

  it("fail their tests when a rule is wrong", () => {
    const long = cases.find(({ alert, fires }) => alert === "LlameroQueueLong" && fires.length > 0)!
    const wrong = alerts.map((one) => ({ ...one, expr: one.expr.replace("> 50", "> 51") }))
    withFiles({ ...ruleFiles, "alerts.yml": alertFile(wrong), "test.yml": testOf(long) }, (folder) => {
      assert.isFalse(promtool("test", "rules", join(folder, "test.yml")).ok)
    })
  })

  for (const one of cases) {
    it(`${one.alert} ${one.fires.length > 0 ? "fires" : "does not fire"}: ${one.says}`, () => {
      withFiles({ ...ruleFiles, "test.yml": testOf(one) }, (folder) => {
        const tested = promtool("test", "rules", join(folder, "test.yml"))
        assert.isTrue(tested.ok, tested.printed)
      })
    })
  }
})
