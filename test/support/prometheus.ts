/** A real Prometheus for one test: ended, and its folder removed, when the scope closes. */
import { Effect, Random, Schedule } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { start } from "./processes.ts"

/** One series of an answer. */
export interface Found {
  readonly metric: Readonly<Record<string, string>>
  readonly values: ReadonlyArray<readonly [number, string]>
}

export interface RunningPrometheus {
  /** The series of a query over the last seconds, one value for each of them. */
  readonly range: (expr: string, seconds: number) => Promise<ReadonlyArray<Found>>
  /** Names of the alerts that have been in the state `firing` at any time in the last seconds. */
  readonly fired: (seconds: number) => Promise<ReadonlySet<string>>
  /** How many series of a query have exemplars with the id of a request, in the last minute. */
  readonly exemplars: (expr: string) => Promise<number>
  /** Whether each target was scraped without an error at the last try, by job. */
  readonly targets: () => Promise<Readonly<Record<string, string>>>
}

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "prometheus-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true })),
)

/** Scrapes each target once a second, and evaluates the rules as often. `targets` are hosts with ports, by job. */
export const make = Effect.fnUntraced(function* (
  targets: Readonly<Record<string, string>>,
  rules: Readonly<Record<string, string>>,
) {
  const dir = yield* folder
  for (const [name, text] of Object.entries(rules)) writeFileSync(join(dir, name), text)
  const config = {
    global: { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" },
    rule_files: Object.keys(rules),
    scrape_configs: Object.entries(targets).map(([job, target]) => ({
      job_name: job,
      static_configs: [{ targets: [target] }],
    })),
  }
  // JSON is YAML.
  writeFileSync(join(dir, "prometheus.yml"), JSON.stringify(config))
  const serve = Effect.gen(function* () {
    const port = yield* Random.nextIntBetween(20_000, 30_000)
    const options = {
      "config.file": join(dir, "prometheus.yml"),
      "storage.tsdb.path": join(dir, "data"),
      "web.listen-address": `127.0.0.1:${port}`,
      "enable-feature": "exemplar-storage",
    }
    const running = yield* start([
      "prometheus",
      ...Object.entries(options).map(([name, value]) => `--${name}=${value}`),
    ])
    const look = Effect.suspend(() =>
      running.printed().includes("Server is ready to receive web requests") ? Effect.void : Effect.fail("not yet")
    )
    yield* Effect.raceFirst(
      Effect.retry(look, Schedule.spaced("50 millis")),
      Effect.flatMap(running.ended, () => Effect.fail(running.printed())),
    )
    return `http://127.0.0.1:${port}/api/v1`
  })
  const url = yield* Effect.orDie(Effect.retry(serve, { times: 3 }))

  const ask = async (path: string) => {
    const answer = await (await fetch(`${url}${path}`)).json() as { status: string; data: unknown; error?: string }
    if (answer.status !== "success") throw new Error(`${path}: ${answer.error}`)
    return answer.data
  }
  const range: RunningPrometheus["range"] = async (expr, seconds) => {
    const end = Date.now() / 1000
    const query = new URLSearchParams({ query: expr, start: `${end - seconds}`, end: `${end}`, step: "1" })
    return (await ask(`/query_range?${query}`) as { result: ReadonlyArray<Found> }).result
  }
  return {
    range,
    fired: async (seconds) => {
      const found = await range(`ALERTS{alertstate="firing"}`, seconds)
      return new Set(found.map(({ metric }) => metric["alertname"] ?? ""))
    },
    exemplars: async (expr) => {
      const end = Date.now() / 1000
      const query = new URLSearchParams({ query: expr, start: `${end - 60}`, end: `${end}` })
      const found = await ask(`/query_exemplars?${query}`) as ReadonlyArray<{
        exemplars: ReadonlyArray<{ labels: Readonly<Record<string, string>> }>
      }>
      return found.filter(({ exemplars }) => exemplars.some(({ labels }) => labels["request_id"] !== undefined)).length
    },
    targets: async () => {
      const { activeTargets } = await ask("/targets") as {
        activeTargets: ReadonlyArray<{ labels: { job: string }; lastError: string }>
      }
      return Object.fromEntries(activeTargets.map(({ labels, lastError }) => [labels.job, lastError]))
    },
  } satisfies RunningPrometheus
})
