/** What autoscalers ask Prometheus, and the rules of the Prometheus operator. */
import { assert, describe, it } from "@effect/vitest"
import { parse } from "yaml"
import { definitionOf, metricsOf } from "../../scripts/deploy/definitions.ts"
import { prometheusRule } from "../../scripts/deploy/prometheusRule.ts"
import { alertFile, recordingFile } from "../../scripts/deploy/ruleFiles.ts"
import { alerts, recordings } from "../../scripts/deploy/rules.ts"
import { documents, read, type Resource } from "./manifests.ts"
import { absent, promtool, withFiles } from "./promtool.ts"

if (absent !== undefined) console.log(`queries of autoscalers are not tried: ${absent}`)

const adapter: ReadonlyArray<Resource> = parse(read("components/hpa/adapter-rules.yaml")).rules.external
const [hpa] = documents(read("components/hpa/hpa.yaml"))
const [scaled] = documents(read("components/keda/scaledobject.yaml"))
const patch: ReadonlyArray<Resource> = parse(read("components/autoscaled/alerts.yaml"))

/** A query of the adapter, as it asks it for the namespace of the autoscaler. */
const asked = ({ metricsQuery }: Resource): string =>
  metricsQuery.replaceAll("<<.LabelMatchers>>", `namespace="llamero"`)
const [queue, memory] = adapter.map(asked) as [string, string]
const alert: string = patch.find(({ path }) => path.endsWith("/expr"))!.value

describe("autoscaling", () => {
  it("asks only for metrics and labels that there are", () => {
    const expressions = [queue, memory, alert, ...adapter.map(({ seriesQuery }) => seriesQuery)]
    for (const expr of expressions) {
      const names = metricsOf(expr)
      assert.isNotEmpty(names)
      // `namespace` and `instance` come from Prometheus.
      const known = ["namespace", "instance", ...names.flatMap((name) => definitionOf(name).labels)]
      for (const [, matchers = ""] of expr.matchAll(/\{([^}]*)\}/g)) {
        for (const [label] of matchers.matchAll(/\w+(?=!?[=~])/g)) assert.include(known, label, expr)
      }
      for (const [, label = ""] of expr.matchAll(/by \(([^)]*)\)/g)) assert.include(known, label, expr)
    }
  })

  it("gives the HorizontalPodAutoscaler the metrics that the adapter has", () => {
    assert.sameMembers(
      hpa.spec.metrics.map(({ external }: Resource) => external.metric.name),
      adapter.map(({ name }) => name.as),
    )
  })

  it("asks in KEDA what it asks through the adapter, with the same targets", () => {
    assert.deepStrictEqual(scaled.spec.triggers.map(({ metadata }: Resource) => metadata.query), [queue, memory])
    const targets = hpa.spec.metrics.map(({ external: { target } }: Resource) => [
      target.type,
      target.averageValue === undefined ? parseInt(target.value) / 1000 : Number(target.averageValue),
    ])
    assert.deepStrictEqual(
      scaled.spec.triggers.map(({ metadata, metricType }: Resource) => [metricType, Number(metadata.threshold)]),
      targets,
    )
    assert.deepStrictEqual(scaled.spec.advanced.horizontalPodAutoscalerConfig.behavior, hpa.spec.behavior)
    assert.strictEqual(scaled.spec.minReplicaCount, hpa.spec.minReplicas)
  })
})

/** Series of two routers, `a` and `b`, in the notation of promtool. */
const both = (name: string, labels: string, a: number, b = a): Readonly<Record<string, string>> => ({
  [`${name}{namespace="llamero", instance="a", ${labels}}`]: `${a}+0x10`,
  [`${name}{namespace="llamero", instance="b", ${labels}}`]: `${b}+0x10`,
})

const memoryOf = (device: string, allocated: number, capacity: number) => ({
  ...both("llamero_device_allocated_bytes", `device="${device}"`, allocated),
  ...both("llamero_device_capacity_bytes", `device="${device}"`, capacity),
})

const gives = (expr: string, series: Readonly<Record<string, string>>, value: number | undefined): void => {
  const test = {
    tests: [{
      interval: "30s",
      input_series: Object.entries(series).map(([series, values]) => ({ series, values })),
      promql_expr_test: [{
        expr,
        eval_time: "2m",
        exp_samples: value === undefined ? [] : [{ labels: "{}", value }],
      }],
    }],
  }
  withFiles({ "test.yml": JSON.stringify(test) }, (folder) => {
    const { ok, printed } = promtool("test", "rules", `${folder}/test.yml`)
    assert.isTrue(ok, printed)
  })
}

describe.skipIf(absent !== undefined)("the queries of autoscalers, by promtool", () => {
  it("add the queues of all routers and models, without those of the other pool", () => {
    const series = {
      ...both("llamero_queue_depth", `model="llama3.1:8b"`, 3, 2),
      ...both("llamero_queue_depth", `model="qwen3:8b"`, 1),
      ...both("llamero_queue_depth", `model="nomic-embed-text:latest"`, 50),
    }
    gives(queue, series, 7)
    gives(queue, both("llamero_queue_depth", `model="llama3.1:8b"`, 0), 0)
    gives(queue, { [`llamero_queue_depth{namespace="other", model="m"}`]: "9+0x10" }, undefined)
  })

  it("count the memory of each device once, and only that of GPUs", () => {
    gives(memory, { ...memoryOf("GPU-1", 60, 80), ...memoryOf("GPU-2", 20, 80) }, 0.5)
    gives(memory, { ...memoryOf("GPU-1", 72, 80), ...memoryOf("system@ollama-cpu-0", 0, 1000) }, 0.9)
  })

  it("find a pool that has too few healthy servers", () => {
    const healthy = (backend: string, value: number) => both("llamero_backend_healthy", `backend="${backend}"`, value)
    const pools = { ...healthy("cpu-0", 1), ...healthy("cpu-1", 1), ...healthy("gpu-0", 1), ...healthy("gpu-2", 0) }
    gives(`count(${alert})`, pools, 2)
    gives(`count(${alert})`, { ...pools, ...healthy("gpu-1", 1) }, undefined)
    gives(`count(${alert})`, { ...pools, ...healthy("gpu-1", 1), ...healthy("cpu-1", 0) }, 2)
  })
})

describe("the PrometheusRule", () => {
  it("has the groups of both rule files, and nothing else", () => {
    const { kind, metadata, spec } = parse(prometheusRule(recordings, alerts))
    assert.deepStrictEqual([kind, metadata.name], ["PrometheusRule", "llamero"])
    const groups = [recordingFile(recordings), alertFile(alerts)].flatMap((text) => parse(text).groups)
    assert.deepStrictEqual(spec, { groups })
    assert.strictEqual(groups.flatMap(({ rules }: Resource) => rules).length, recordings.length + alerts.length)
  })

  it("asks for jobs that the service of the routers gives", () => {
    const [service] = documents(read("base/router.yaml"))
    const down = alerts.find((rule) => rule.alert === "LlameroDown")!
    const [, pattern = ""] = /job=~"([^"]*)"/.exec(down.expr)!
    assert.match(service.metadata.name, new RegExp(`^(?:${pattern})$`))
  })
})
