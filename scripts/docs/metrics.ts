/** The metrics that there are, from a scrape of a simulated router in which everything that is counted has happened. */
import { Effect, Layer, Metric, References } from "effect"
import { HttpClient } from "effect/http"
import * as L from "../../src/index.ts"
import * as NodeServer from "../../src/layers/server/NodeServer.ts"
import { SimulatedFleet, SimulatedGpuProbe, SimulatedOllamaApi, SimulatedTransport } from "../../src/simulated/index.ts"

export interface MetricRow {
  readonly name: string
  readonly type: string
  readonly labels: ReadonlyArray<string>
  readonly meaning: string
}

/** Reads Prometheus' text format: the rows of llamero's own metrics, sorted by name. */
export const parse = (scrape: string): ReadonlyArray<MetricRow> => {
  const rows = new Map<string, { type: string; meaning: string; labels: Set<string> }>()
  const row = (name: string) => {
    const known = rows.get(name) ?? { type: "", meaning: "", labels: new Set<string>() }
    rows.set(name, known)
    return known
  }
  for (const line of scrape.split("\n")) {
    const [, what, named = "", text = ""] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? []
    if (what === "HELP") row(named).meaning = text
    if (what === "TYPE") row(named).type = text
    const [, series = "", labels = ""] = /^(\w+)\{(.*)\} \S+$/.exec(line) ?? []
    const name = series.replace(/_(bucket|sum|count)$/, "")
    for (const [, label = ""] of labels.matchAll(/(\w+)="(?:[^"\\]|\\.)*"/g)) {
      if (label !== "le") row(rows.has(name) ? name : series).labels.add(label)
    }
  }
  return Array.from(rows, ([name, { labels, ...rest }]) => ({ name, ...rest, labels: [...labels].sort() }))
    .filter(({ name }) => name.startsWith("llamero_")).sort((a, b) => a.name < b.name ? -1 : 1)
}

const { llama31, mistral, tinyModels } = SimulatedFleet.Model

type Events = { readonly [K in L.RouterEvents.RouterEvent["_tag"]]: Extract<L.RouterEvents.RouterEvent, { _tag: K }> }

const at = 0
const backend = "a"
const model = "m:1b"
const answered: L.RouterEvents.RequestSettled["settled"] = {
  ...{ result: "answered", status: 200, refusal: undefined, backend, attempts: 2, queuedMillis: 1 },
  outcome: {
    ...{ ...L.Outcome.success, firstByteMillis: 1, totalMillis: 2, longestGapMillis: 1 },
    usage: { promptTokens: 1, answerTokens: 2, slotWaitMillis: undefined },
  },
}
const healthy = { state: "healthy", reason: "", since: 0, version: undefined } as const

const demand: L.RoutedRequest.Demand = {
  ...{ id: "r", kind: "chat", model: { key: model, owners: new Map(), capabilities: [], remote: false } },
  ...{ numCtx: undefined, promptTokens: 1, bytes: 1, tenant: "default", priority: "default", since: 0 },
  ...{ queueMillis: undefined, excluded: [], loads: true },
}

/** One event of each kind, with every field that is counted. A new kind does not compile until it has an example. */
const examples: Events = {
  AdminChanged: {
    ...{ _tag: "AdminChanged", at, who: "admin", address: undefined, action: "reload", backend, model: undefined },
    ...{ result: "done", reason: "" },
  },
  RequestSettled: {
    ...{ _tag: "RequestSettled", at, id: "r", route: "/api/chat", kind: "chat", model, known: true, tenant: "default" },
    ...{ settled: answered, totalMillis: 1, bytesIn: 1, bytesOut: 1, rewrote: ["num_ctx"], cold: true },
    ...{ cost: 1, keyed: true, routingMillis: 1 },
  },
  Placed: {
    ...{ _tag: "Placed", at, id: "r", attempt: 1, answer: "lease", took: backend, refusal: undefined, waiting: 1 },
    ...{ demand, candidates: [], others: 0, without: 0 },
  },
  RequestRefused: {
    ...{ _tag: "RequestRefused", at, arrivedAt: 0, id: "r", method: "POST", path: "/api/chat", route: "/api/chat" },
    ...{ status: 400, reason: "BadRequest" },
  },
  AttemptFailed: { _tag: "AttemptFailed", at, id: "r", backend, cause: "reset" },
  Hedged: { _tag: "Hedged", at, id: "r", model, first: backend, second: "b", aborted: "b", result: "lost" },
  HealthChanged: { _tag: "HealthChanged", at, change: { backend, from: "unknown", status: healthy } },
  BreakerMoved: { _tag: "BreakerMoved", at, transition: { key: { backend, model }, from: "closed", to: "open", at } },
  LoadEnded: { _tag: "LoadEnded", at, load: { backend, model, millis: 1, error: undefined } },
  Shadowed: { _tag: "Shadowed", at, id: "r", model, shadow: "s", took: backend, would: "b", result: "different" },
  ModelSpilled: { _tag: "ModelSpilled", at, spill: { backend, model, size: 2, sizeVram: 1 } },
}

const shed = { ...answered, result: "refused", status: 503, outcome: undefined, attempts: 0 } as const
const more: ReadonlyArray<L.RouterEvents.RequestSettled> = [
  { ...examples.RequestSettled, settled: { ...shed, refusal: L.Refusal.refuse("QueueFull", "full") } },
  { ...examples.RequestSettled, settled: { ...answered, coalesced: "identical" } },
]

const url = "http://gpu:11434"
const guard: L.Plugin.Guard = {
  kind: "guard",
  name: "any",
  check: (request) => Effect.succeed({ _tag: "Pass", request }),
}
/** Traces of no request, for no collector: what it counts is there from the start. */
const tracing = L.OtlpTracing.layer({ url: "http://collector", sampler: "always_off" }).pipe(
  Layer.provide(Layer.succeed(HttpClient.HttpClient, HttpClient.make(() => Effect.never))),
)
const stack = L.Standard.layer({
  guards: [guard],
  plans: [L.PinnedPlan.make(["tiny-eos"])],
  ledger: L.MemoryVramLedger.layer().pipe(Layer.provide(L.LearnedModelFootprints.layer())),
}).pipe(
  Layer.provide(tracing),
  Layer.provideMerge(Layer.merge(SimulatedTransport.layer, SimulatedOllamaApi.layer)),
  Layer.provideMerge(L.StaticFleet.layer([{ url, devices: [SimulatedGpuProbe.uuid(url)], price: 1 }])),
  Layer.provideMerge(SimulatedGpuProbe.layer),
  // So slow that the first request holds the only slot, and the second one waits, until the program ends. Of the two
  // large models only one fits.
  Layer.provideMerge(SimulatedFleet.layer({
    [url]: { gpus: ["12 GiB"], decodeRate: 0.001, loadBandwidth: 1e12, models: [...tinyModels, llama31, mistral] },
  })),
  Layer.provideMerge(Layer.succeed(Metric.MetricRegistry, new Map())),
  Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "None")),
)

/** Metrics that appear only while a request waits, or after the backend was asked what it holds. */
const late = ["queue_oldest_seconds", "model_vram_bytes", "guard_duration_seconds", "prewarms_total", "evictions_total"]
  .concat("event_loop_lag_seconds", "plugin_duration_seconds", "device_temperature_celsius")
  .map((name) => `llamero_${name}`)

const program = Effect.gen(function* () {
  const router = yield* L.WebServer.make(L.OllamaApp.layer())
  // Counts its connections.
  yield* Layer.build(NodeServer.layer(Layer.empty, { port: 0 }))
  const scrape = Effect.promise(async () => (await router.fetch(new Request("http://llamero/metrics"))).text())
  yield* scrape
  const events = yield* L.RouterEvents.RouterEvents
  for (const event of [...Object.values(examples), ...more]) events.publish(event)
  const ask = (body: object) => {
    // The answer may never come: the request ends with the scope.
    const request = new Request("http://llamero/api/generate", { method: "POST", body: JSON.stringify(body) })
    router.fetch(request).catch(() => {})
  }
  for (const { name } of [llama31, mistral]) ask({ model: name })
  for (const prompt of ["0", "1"]) ask({ model: "tiny-eos", prompt })
  for (let looks = 0; looks < 600; looks++) {
    const text = yield* scrape
    if (late.every((name) => text.includes(name))) return parse(text)
    yield* Effect.sleep("50 millis")
  }
  return yield* Effect.die(new Error(`the simulated router never showed all of ${late.join(", ")}`))
})

/** All metrics with their types, labels and meanings. */
export const readMetrics = (): Promise<ReadonlyArray<MetricRow>> =>
  Effect.runPromise(Effect.scoped(program.pipe(Effect.provide(stack))))
