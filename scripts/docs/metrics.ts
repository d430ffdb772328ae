/** The metrics there are, from a scrape of a router that has seen everything that is counted. */
import { Effect, Layer, Metric, References } from "effect"
import * as L from "../../src/index.ts"
import { SimulatedFleet, SimulatedGpuProbe, SimulatedOllamaApi, SimulatedTransport } from "../../src/simulated/index.ts"

export interface MetricRow {
  readonly name: string
  readonly type: string
  readonly labels: ReadonlyArray<string>
  readonly meaning: string
}

/** Reads Prometheus' text format. */
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

type Events = { readonly [K in L.RouterEvents.RouterEvent["_tag"]]: Extract<L.RouterEvents.RouterEvent, { _tag: K }> }

const at = 0
const backend = "a"
const model = "m:1b"

/** One of each kind, with every field that is counted; a new kind of event does not compile until it has an example here. */
const examples: Events = {
  RequestSettled: {
    _tag: "RequestSettled",
    at,
    id: "r",
    route: "/api/chat",
    kind: "chat",
    model,
    known: true,
    tenant: "default",
    settled: {
      result: "answered",
      status: 200,
      refusal: undefined,
      outcome: { ...L.Outcome.success, firstByteMillis: 1 },
      backend,
      attempts: 2,
      queuedMillis: 1,
    },
    totalMillis: 1,
    bytesIn: 1,
    bytesOut: 1,
    rewrote: ["num_ctx"],
    cold: true,
  },
  AttemptFailed: { _tag: "AttemptFailed", at, id: "r", backend, cause: "reset" },
  Hedged: { _tag: "Hedged", at, id: "r", model, first: backend, second: "b", aborted: "b", result: "lost" },
  HealthChanged: {
    _tag: "HealthChanged",
    at,
    change: { backend, from: "unknown", status: { state: "healthy", reason: "", since: 0, version: undefined } },
  },
  BreakerMoved: { _tag: "BreakerMoved", at, transition: { key: { backend, model }, from: "closed", to: "open", at } },
  LoadEnded: { _tag: "LoadEnded", at, load: { backend, model, millis: 1, error: undefined } },
  Shadowed: { _tag: "Shadowed", at, id: "r", model, shadow: "s", took: backend, would: "b", result: "different" },
  ModelSpilled: { _tag: "ModelSpilled", at, spill: { backend, model, size: 2, sizeVram: 1 } },
}

/** A request that was shed, and one that another one's call has answered. */
const alsoSettled = (): ReadonlyArray<L.RouterEvents.RequestSettled> => {
  const { settled, ...event } = examples.RequestSettled
  const refusal = L.Refusal.refuse("QueueFull", "full")
  return [
    { ...event, settled: { ...settled, result: "refused", status: 503, refusal, outcome: undefined, attempts: 0 } },
    { ...event, settled: { ...settled, coalesced: "identical" } },
  ]
}

const url = "http://gpu:11434"
const guard: L.Plugin.Guard = {
  kind: "guard",
  name: "any",
  check: (request) => Effect.succeed({ _tag: "Pass", request }),
}

const place = Layer.merge(SimulatedTransport.layer, SimulatedOllamaApi.layer).pipe(
  Layer.provideMerge(L.StaticFleet.layer([{ url, devices: [SimulatedGpuProbe.uuid(url)] }])),
  Layer.provideMerge(SimulatedGpuProbe.layer),
  // So slow that the first request holds the only slot and the second one waits, for as long as anybody looks.
  Layer.provideMerge(SimulatedFleet.layer({ [url]: { gpus: ["24 GiB"], decodeRate: 0.001 } })),
)
const stack = L.Standard.layer({
  router: L.PipelineRouter.layer({ guards: [guard] }),
  ledger: L.MemoryVramLedger.layer().pipe(Layer.provide(L.LearnedModelFootprints.layer())),
}).pipe(
  Layer.provideMerge(place),
  Layer.provideMerge(Layer.succeed(Metric.MetricRegistry, new Map())),
  Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "None")),
)

/** What only shows while somebody waits, and once the backend has been asked what it holds. */
const late = ["llamero_queue_oldest_seconds", "llamero_model_vram_bytes", "llamero_guard_duration_seconds"]

const program = Effect.gen(function* () {
  const router = yield* L.WebServer.make(L.OllamaApp.layer())
  const scrape = Effect.promise(async () => (await router.fetch(new Request("http://llamero/metrics"))).text())
  yield* scrape
  const events = yield* L.RouterEvents.RouterEvents
  for (const event of [...Object.values(examples), ...alsoSettled()]) events.publish(event)
  for (let i = 0; i < 2; i++) {
    const body = JSON.stringify({ model: "tiny-eos", prompt: `${i}` })
    // Nobody waits for the answer: it ends with the scope.
    router.fetch(new Request("http://llamero/api/generate", { method: "POST", body })).catch(() => {})
  }
  for (let looks = 0; looks < 600; looks++) {
    const text = yield* scrape
    if (late.every((name) => text.includes(name))) return parse(text)
    yield* Effect.sleep("50 millis")
  }
  return yield* Effect.die(new Error(`a router under load never showed all of ${late.join(", ")}`))
})

export const readMetrics = (): Promise<ReadonlyArray<MetricRow>> =>
  Effect.runPromise(Effect.scoped(program.pipe(Effect.provide(stack))))
