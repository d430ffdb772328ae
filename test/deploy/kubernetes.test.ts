/** `deploy/kubernetes`: valid by the schemas, rendered by kustomize, and in agreement with the router. */
import { assert, describe, it } from "@effect/vitest"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Effect, Layer } from "effect"
import { join } from "node:path"
import * as Agent from "../../src/layers/settings/agent.ts"
import * as FileFleet from "../../src/layers/fleet/FileFleet.ts"
import * as Settings from "../../src/layers/Settings.ts"
import { type Backend, Fleet } from "../../src/services/Fleet.ts"
import {
  cannotRender,
  containersOf,
  documents,
  environment,
  files,
  folder,
  kustomizations,
  nameOf,
  overlays,
  read,
  render,
  type Resource,
  sources,
  templateOf,
} from "./manifests.ts"
import { flawOf, typeErrors } from "./schemas.ts"

if (cannotRender !== undefined) console.log(`the overlays of deploy/kubernetes are not rendered: ${cannotRender}`)

const all = sources.map(([, resource]) => resource)
const named = (kind: string, name: string): Resource => {
  const found = all.find((one) => one.kind === kind && one.metadata.name === name)
  assert.isDefined(found, `${kind} ${name}`)
  return found
}
const withPods = all.filter((resource) => templateOf(resource) !== undefined)
const router = named("Deployment", "llamero")

const contains = (labels: Readonly<Record<string, string>>, selector: Readonly<Record<string, string>>): boolean =>
  Object.entries(selector).every(([name, value]) => labels[name] === value)

describe("deploy/kubernetes", () => {
  it("uses every file that it has", () => {
    const named = kustomizations.map(read).join("\n")
    for (const file of files) {
      // What the adapter is installed with is not in the cluster's resources.
      if (kustomizations.includes(file) || file.endsWith("adapter-rules.yaml")) continue
      assert.include(named, file.slice(file.lastIndexOf("/") + 1), file)
      assert.isNotEmpty(documents(file.endsWith(".yaml") ? read(file) : "a: b"), file)
    }
  })

  for (const [file, resource] of sources) {
    it(`${file}: ${nameOf(resource)} has the shape of its kind`, async () => {
      assert.isUndefined(await flawOf(resource))
    })
  }

  it("has no field that its kind does not have, and no value of another type", () => {
    assert.deepStrictEqual(typeErrors(all), [])
  }, 120_000)

  it("would find fields that are misspelt, or in a wrong place", () => {
    const wrong: ReadonlyArray<(resource: Resource) => void> = [
      ({ spec }) => spec.replica = 2,
      ({ spec }) => spec.template.spec.containers[0].enviroment = [],
      ({ spec }) => spec.template.spec.containers[0].readinessProbe.httpGet.url = "/readyz",
      ({ metadata }) => metadata.labels.port = 1,
    ]
    const changed = wrong.map((change) => {
      const copy = structuredClone(router)
      change(copy)
      return copy
    })
    const errors = typeErrors(changed)
    for (const word of ["replica", "enviroment", "url", "string"]) {
      assert.isTrue(errors.some((line) => line.includes(word)), `${word}: ${errors.join("\n")}`)
    }
  }, 120_000)

  it("would find a wrong type, a missing field and an unknown value", async () => {
    const wrong: ReadonlyArray<(resource: Resource) => void> = [
      ({ spec }) => spec.replicas = "two",
      ({ spec }) => delete spec.selector,
      ({ spec }) => spec.template.spec.containers[0].ports[0].containerPort = "http",
      ({ spec }) => spec.template.spec.containers[0].resources = { limits: [] },
    ]
    for (const change of wrong) {
      const changed = structuredClone(router)
      change(changed)
      assert.isDefined(await flawOf(changed), String(change))
    }
  })

  it("selects with labels that pods have", () => {
    const pods = withPods.map((resource) => templateOf(resource).metadata.labels)
    let selectors = 0
    const check = (of: Resource, selector: Readonly<Record<string, string>> | undefined) => {
      assert.isTrue(selector !== undefined && Object.keys(selector).length > 0, nameOf(of))
      assert.isTrue(pods.some((labels) => contains(labels, selector!)), `${nameOf(of)}: ${JSON.stringify(selector)}`)
      selectors++
    }
    for (const resource of all) {
      const { kind, spec } = resource
      if (kind === "Service") check(resource, spec.selector)
      if (kind === "PodDisruptionBudget") check(resource, spec.selector.matchLabels)
      if (kind === "NetworkPolicy" && spec.podSelector.matchLabels) check(resource, spec.podSelector.matchLabels)
      for (const { from } of kind === "NetworkPolicy" ? spec.ingress ?? [] : []) {
        for (const { podSelector } of from) if (podSelector) check(resource, podSelector.matchLabels)
      }
      if (kind === "ServiceMonitor") {
        const services = all.filter((one) =>
          one.kind === "Service" && contains(one.metadata.labels, spec.selector.matchLabels)
        )
        assert.deepStrictEqual(services.map(({ metadata }) => metadata.name), ["llamero"])
        const ports = services[0].spec.ports.map(({ name }: Resource) => name)
        for (const { port } of spec.endpoints) assert.include(ports, port)
      }
    }
    for (const resource of withPods) {
      const { metadata, spec } = templateOf(resource)
      const own = resource.spec.selector?.matchLabels
      if (own !== undefined) assert.isTrue(contains(metadata.labels, own), nameOf(resource))
      const spread = [
        ...spec.topologySpreadConstraints ?? [],
        ...spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [],
      ]
      for (const { labelSelector } of spread) assert.isTrue(contains(metadata.labels, labelSelector.matchLabels))
    }
    assert.isAtLeast(selectors, 10)
  })

  it("has pods without rights: no root, nothing to write to but volumes, no capability", () => {
    assert.isAtLeast(withPods.length, 4)
    for (const resource of withPods) {
      const { spec } = templateOf(resource)
      assert.isTrue(spec.securityContext.runAsNonRoot, nameOf(resource))
      assert.isAbove(spec.securityContext.runAsUser, 0)
      assert.strictEqual(spec.securityContext.seccompProfile.type, "RuntimeDefault")
      assert.isFalse(spec.automountServiceAccountToken)
      // A service called llamero would set LLAMERO_PORT.
      assert.isFalse(spec.enableServiceLinks)
      for (const { name, resources, securityContext } of containersOf(resource)) {
        assert.deepStrictEqual(
          securityContext,
          { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ["ALL"] } },
          `${nameOf(resource)}: ${name}`,
        )
        assert.isDefined(resources.requests.cpu)
        assert.isDefined(resources.requests.memory)
        assert.isDefined(resources.limits.memory)
      }
    }
  })

  it("probes and serves on ports that containers have, which are those of the server", () => {
    for (const resource of withPods) {
      for (const { livenessProbe, ports = [], readinessProbe, startupProbe } of containersOf(resource)) {
        const names = ports.map(({ name }: Resource) => name)
        for (const probe of [livenessProbe, readinessProbe, startupProbe]) {
          if (probe !== undefined) assert.include(names, (probe.httpGet ?? probe.tcpSocket).port, nameOf(resource))
        }
      }
    }
    const portsOf = (resource: Resource) =>
      containersOf(resource).flatMap(({ ports }) => ports.map(({ containerPort }: Resource) => containerPort))
    assert.deepStrictEqual(portsOf(router), [Settings.defaults.port])
    assert.deepStrictEqual(portsOf(named("StatefulSet", "ollama-gpu")), [11434, Agent.agent.port.fallback])
    for (const service of all.filter(({ kind }) => kind === "Service")) {
      const pods = withPods.find((resource) => contains(templateOf(resource).metadata.labels, service.spec.selector))
      const ports = containersOf(pods).flatMap(({ ports }) => ports)
      for (const { port, targetPort } of service.spec.ports) {
        assert.deepInclude(ports, { name: targetPort, containerPort: port }, nameOf(service))
      }
    }
  })

  it("lets a pod of the router drain before it is killed", () => {
    const { spec } = templateOf(router)
    const [{ lifecycle }] = spec.containers
    const { LLAMERO_DRAIN_TIMEOUT = "" } = environment(read("base/settings.env"))
    const drain = Number(/^(\d+)s$/.exec(LLAMERO_DRAIN_TIMEOUT)![1])
    assert.isAtLeast(spec.terminationGracePeriodSeconds, lifecycle.preStop.sleep.seconds + drain + 5)
    for (const name of ["ollama-gpu", "ollama-cpu"]) {
      const { spec } = templateOf(named("StatefulSet", name))
      const sleep = spec.containers[0].lifecycle.preStop.sleep.seconds
      assert.isAtLeast(spec.terminationGracePeriodSeconds, sleep + 10)
    }
  })
})

/** The settings of an overlay, from the files that its kustomizations merge. */
const settingsOf = (components: ReadonlyArray<string>): Readonly<Record<string, string>> =>
  Object.assign(
    { LLAMERO_ADMIN_TOKEN: "a".repeat(32), LLAMERO_AGENT_TOKEN: "b".repeat(32) },
    ...["base", ...components.map((name) => `components/${name}`)]
      .filter((path) => files.includes(`${path}/settings.env`))
      .map((path) => environment(read(`${path}/settings.env`))),
  )

const fleetOf = (file: string): Promise<ReadonlyArray<Backend>> =>
  Effect.runPromise(
    Effect.map(Fleet, (fleet) => fleet.members().map(({ backend }) => backend)).pipe(
      Effect.provide(FileFleet.layer(join(folder, file)).pipe(Layer.provide(NodeFileSystem.layer))),
      Effect.scoped,
    ),
  )

const fixed = { components: ["ollama"], file: "components/ollama/fleet.json" }
const autoscaled = { components: ["ollama", "autoscaled"], file: "components/autoscaled/fleet.json" }
const most = (resource: Resource): number => resource.spec.maxReplicas ?? resource.spec.maxReplicaCount

describe("the settings in deploy/kubernetes", () => {
  it("are settings that the router reads", async () => {
    const names = withPods.flatMap((resource) =>
      containersOf(resource).flatMap(({ env = [] }) => env.map(({ name }: Resource) => name as string))
    )
    assert.includeMembers(names, ["LLAMERO_ADMIN_TOKEN", "LLAMERO_AGENT_TOKEN", "LLAMERO_FLEET_FILE"])
    assert.deepStrictEqual(Settings.unknownNames(names), [])
    for (const components of [[], ["ollama"], ["ollama", "autoscaled"]]) {
      const settings = await Effect.runPromise(Settings.fromEnv(settingsOf(components)))
      assert.strictEqual(settings.vram, components.length > 0)
    }
  })

  it("read the fleet file where it is mounted", () => {
    const [job, again] = [named("Job", "llamero-sync"), named("CronJob", "llamero-sync")]
    assert.deepStrictEqual(containersOf(again), containersOf(job))
    for (const resource of [router, job, again]) {
      const { spec } = templateOf(resource)
      const [{ volumeMounts }] = spec.containers
      assert.strictEqual(`${volumeMounts[0].mountPath}/fleet.json`, settingsOf([])["LLAMERO_FLEET_FILE"])
      assert.strictEqual(spec.volumes[0].configMap.name, "llamero-fleet")
    }
  })

  for (const [name, { components, file }] of Object.entries({ fixed, autoscaled })) {
    it(`name servers and agents that there are: a ${name} number`, async () => {
      const backends = await fleetOf(file)
      const scaler = named("HorizontalPodAutoscaler", "ollama-gpu")
      const count = (set: string) =>
        name === "autoscaled" && set === "ollama-gpu" ? most(scaler) : named("StatefulSet", set).spec.replicas
      const expected = (port: number, ...sets: ReadonlyArray<string>) =>
        sets.flatMap((set) => {
          const service = named("Service", named("StatefulSet", set).spec.serviceName)
          assert.strictEqual(service.spec.clusterIP, "None")
          assert.isTrue(service.spec.ports.some((one: Resource) => one.port === port))
          return Array.from({ length: count(set) }, (_, i) => `http://${set}-${i}.${service.metadata.name}:${port}`)
        })
      assert.sameMembers(backends.map(({ url }) => url), expected(11434, "ollama-gpu", "ollama-cpu"))
      const { agents } = await Effect.runPromise(Settings.fromEnv(settingsOf(components)))
      assert.sameMembers([...agents], expected(Agent.agent.port.fallback, "ollama-gpu"))
      for (const { labels, models = [], url } of backends) {
        assert.strictEqual(labels["device"], /ollama-(\w+)-/.exec(url)?.[1])
        // What the job pulls. Autoscalers tell the models of the CPU pool by their names.
        assert.isNotEmpty(models)
        for (const model of models) assert.strictEqual(model.includes("embed"), labels["device"] === "cpu", model)
      }
    })
  }

  it("have as many servers as the autoscalers and the nodes allow", async () => {
    const gpus = (await fleetOf(autoscaled.file)).filter(({ labels }) => labels["device"] === "gpu")
    assert.strictEqual(most(named("HorizontalPodAutoscaler", "ollama-gpu")), gpus.length)
    assert.strictEqual(most(named("ScaledObject", "ollama-gpu")), gpus.length)
    assert.strictEqual(named("NodePool", "llamero-gpu").spec.limits["nvidia.com/gpu"], String(gpus.length))
  })
})

describe.skipIf(cannotRender !== undefined)("the overlays of deploy/kubernetes, by kustomize", () => {
  for (const overlay of overlays) {
    it(`${overlay}: is whole, and every resource has the shape of its kind`, async () => {
      const rendered = render(overlay)
      const has = (kind: string, name: string) =>
        rendered.some((one) => one.kind === kind && one.metadata.name === name)
      for (const resource of rendered) {
        assert.isUndefined(await flawOf(resource))
        const isCluster = ["EC2NodeClass", "Namespace", "NodePool"].includes(resource.kind)
        assert.strictEqual(resource.metadata.namespace, isCluster ? undefined : "llamero", nameOf(resource))
        for (const { envFrom = [], env = [], image } of containersOf(resource)) {
          assert.match(image, /^[\w./-]+\/(llamero|ollama):\d+\.\d+\.\d+$/)
          for (const { configMapRef } of envFrom) assert.isTrue(has("ConfigMap", configMapRef.name), configMapRef.name)
          for (const { valueFrom } of env) {
            if (valueFrom) assert.strictEqual(valueFrom.secretKeyRef.name, "llamero")
          }
        }
        for (const { configMap } of templateOf(resource)?.spec.volumes ?? []) {
          if (configMap) assert.isTrue(has("ConfigMap", configMap.name), configMap.name)
        }
      }
      assert.isTrue(has("Deployment", "llamero"))
      assert.isTrue(has("NetworkPolicy", "default-deny"))
    })
  }

  it("an autoscaled pool has no number of replicas, and an alert that counts servers", () => {
    for (const overlay of ["hpa", "keda", "karpenter"]) {
      const rendered = render(overlay)
      const pool = rendered.find(({ kind, metadata }) => kind === "StatefulSet" && metadata.name === "ollama-gpu")
      assert.isUndefined(pool.spec.replicas)
      const { spec } = rendered.find(({ kind }) => kind === "PrometheusRule")
      const rules = spec.groups.flatMap(({ rules }: Resource) => rules)
      const { expr } = rules.find(({ alert }: Resource) => alert === "LlameroBackendUnhealthy")
      assert.include(expr, "< 2")
    }
    assert.isFalse(render("gpu").some(({ kind }) => /Autoscaler|ScaledObject/.test(kind)))
  })

  it("pulls models once where the servers stay, and again and again where they come and go", () => {
    const jobs = (overlay: string) => render(overlay).map(({ kind }) => kind).filter((kind) => /Job$/.test(kind))
    assert.deepStrictEqual(overlays.map((overlay) => [overlay, ...jobs(overlay)]), [
      ["gpu", "Job"],
      ["hpa", "CronJob"],
      ["karpenter", "CronJob"],
      ["keda", "CronJob"],
      ["router-only"],
    ])
  })
})
