/**
 * Every map and set of the router that outlives a call, and why it does not grow with the clients, backends and models
 * that were there once. A new one belongs into this list.
 */
import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { SweptMap } from "../src/support/sweptMap.ts"

const swept = "a SweptMap: at most three times what is in use, or twice its first size"
const fleetOnly = "backends of the fleet: an entry goes when its backend leaves"
const perBackend = "models on one backend's disk; goes with the backend"
const fixed = "made once from options, settings or a file, and not changed"
const local = "lives as long as one call"
const local2 = (why: string) => `${local}: ${why}`

/** By file and name. */
const bounds: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "layers/Settings.ts": { known: fixed, changeable: fixed },
  "layers/admission/BoundedAdmission.ts": { weights: fixed },
  "layers/admission/classQueues.ts": { tenants: "idle tenants are dropped when there are many more than waiting ones" },
  "layers/admission/fairQueue.ts": { sizes: "weights of tenants: an option" },
  "layers/admission/modelQueue.ts": { depths: local, loadingKinds: "requests that wait; emptied by each pass" },
  "layers/admission/protocol.ts": { byModel: swept },
  "layers/breaker/circuitTable.ts": { backends: swept, circuits: swept },
  "layers/breaker/followOpening.ts": { trialEnds: "a WeakMap: goes with the circuit" },
  "layers/catalog/OllamaModelCatalog.ts": { answering: fleetOnly, asked: "calls of /api/show that are under way" },
  "layers/catalog/fleetModels.ts": {
    lists: fleetOnly,
    descriptions: "manifests that a backend of the fleet has",
    made: "models that a backend of the fleet has",
    stale: "models that a backend of the fleet has",
    spellings: "2,048; then it is emptied",
    owners: "owners of one model: backends of the fleet",
    capabilities: local,
    missing: local,
  },
  "layers/catalog/listedRows.ts": { none: fixed, byKey: perBackend },
  "layers/catalog/listedDigests.ts": {
    noKeys: fixed,
    digests: "manifests that a backend of the fleet has",
    unlisted: "emptied after each reading",
    keys: "models that have had one manifest; goes with the manifest",
  },
  "layers/coalescing/batchSizes.ts": { models: "256; the one that was learned of longest ago goes" },
  "layers/coalescing/embeddings.ts": { "": local },
  "layers/fleet/DnsFleet.ts": { "": local },
  "layers/fleet/members.ts": { ids: local, urls: local, old: local },
  "layers/gpu/HttpGpuProbe.ts": { found: local2("one answer of an agent") },
  "layers/gpu/NvidiaSmiGpuProbe.ts": { known: "indices and bus addresses that GPUs have, or had, on this machine" },
  "layers/gpu/ProbedFleet.ts": { byName: fixed, made: "a WeakMap: goes with the member" },
  "layers/gpu/nvml/readGpu.ts": {
    instances: "MIG slots of one GPU that have an instance",
    unnamed: local,
    known: local,
    slots: local,
  },
  "layers/gpu/nvml/session.ts": {
    gpus: "GPUs of this machine",
    identities: "indices of GPUs; emptied when their number changes",
  },
  "layers/gpu/nvml/xids.ts": { ofApplications: fixed, noted: "GPUs of this machine" },
  "layers/gpu/probes/smiTable.ts": { ids: local, rows: local2("one output of the tool") },
  "layers/health/PollingBackendHealth.ts": { watched: fleetOnly },
  "layers/keys/StaticApiKeys.ts": { models: fixed },
  "layers/keys/file.ts": { models: "keys of the file", seen: local },
  "layers/keys/table.ts": {
    bySum: "keys of the file; made anew with each version of it",
    byId: "as `bySum`",
  },
  "layers/leases/backendSlots.ts": { perModel: perBackend },
  "layers/leases/fleetSlots.ts": {
    known: "backends of the fleet, and those with running streams",
    present: fleetOnly,
    devices: "devices of these backends",
    ownersOf: "models of the catalog; emptied when the fleet or the catalog changes",
    used: local,
  },
  "layers/memory/footprint/LearnedModelFootprints.ts": { "": fixed },
  "layers/memory/footprint/architectures.ts": {
    windowed: fixed,
    windows: fixed,
    hybridInterval: fixed,
    encoders: fixed,
    recurrent: fixed,
    known: fixed,
  },
  "layers/memory/footprint/descriptions.ts": {
    described: "manifests that a backend of the fleet has",
    backends: local,
    present: local,
    due: local,
  },
  "layers/memory/footprint/flash.ts": { headLengths: fixed, without: fixed },
  "layers/memory/footprint/learn.ts": { empty: fixed, after: "4,096 keys; the oldest goes" },
  "layers/memory/footprint/learnFlash.ts": { on: "4,096 keys; the oldest goes" },
  "layers/memory/footprint/manifest.ts": { overrides: fixed },
  "layers/memory/footprint/tensors.ts": { blocks: fixed },
  "layers/memory/ledger/chargedAllocation.ts": { seen: "devices of one allocation", freeBefore: "as `seen`" },
  "layers/memory/ledger/deviceAccount.ts": {
    charges: "allocations: models in memory",
    stated: "backends of the fleet; goes with the account",
  },
  "layers/memory/ledger/devices.ts": {
    accounts: "devices that are read, used by the fleet or charged",
    known: "a WeakMap: goes with the backend",
    statedBy: fleetOnly,
    used: local,
    ids: local,
  },
  "layers/memory/ledger/fitting.ts": { answers: "1,000; then it is emptied" },
  "layers/memory/ledger/ledgerBooks.ts": { held: "allocations: models in memory", users: local, "": local },
  "layers/memory/ledger/loadCharge.ts": { contexts: swept },
  "layers/memory/ledger/readings.ts": { good: local, listed: local },
  "layers/memory/ledger/unchargedAllocations.ts": { held: "allocations: models in memory" },
  "layers/memory/prewarm/PlannedPrewarmer.ts": { loadedOnce: "targets of plans that are loaded only once" },
  "layers/memory/prewarm/assignments.ts": { current: "what plans want now", ids: local },
  "layers/memory/residency/base/joinedLoads.ts": { running: "loads under way", failures: swept },
  "layers/memory/residency/base/loadedModels.ts": { held: swept },
  "layers/memory/residency/conflicts.ts": { pairs: perBackend, none: fixed, "": perBackend },
  "layers/memory/residency/holdings.ts": { backends: fleetOnly },
  "layers/memory/residency/loadHistory.ts": { failures: perBackend, millis: perBackend },
  "layers/memory/residency/loadLoop.ts": { may: local, tried: local },
  "layers/memory/residency/makeRoom.ts": { "": local },
  "layers/memory/residency/membership.ts": { shown: fleetOnly },
  "layers/memory/residency/pins.ts": { backends: swept, counts: "models that are pinned on one backend" },
  "layers/memory/residency/residentModels.ts": {
    loaded: perBackend,
    uses: perBackend,
    contexts: perBackend,
    ghosts: perBackend,
    forgotten: "until the next reading",
    listed: local,
  },
  "layers/memory/residency/snapshot.ts": { models: local },
  "layers/pluginfiles/options.ts": { "": local },
  "layers/router/missingPaths.ts": {
    byPath: "paths of the table of endpoints",
    known: "for each path, backends of the fleet: those that left go with the next look, or the next entry",
  },
  "layers/router/unload.ts": {
    asked: local2("one unload: owners of the model"),
    waiting: "256 unloads, and those under way on backends",
  },
  "layers/routes/KeyedRoutes.ts": { exact: fixed },
  "layers/routes/page/files.ts": { r: "in the browser: the status page" },
  "layers/routes/PullRoutes.ts": { underWay: "256 pulls, or one on each backend" },
  "layers/routes/bodyWithModel.ts": { found: local },
  "layers/routes/gaugeRegistry.ts": { found: local2("one export") },
  "layers/routes/mergedLists.ts": { best: local },
  "layers/routes/metricText.ts": { families: local2("one scrape"), family: local, part: local },
  "layers/routes/ModelPull.ts": { latest: local2("one pull: the layers of a model") },
  "layers/routes/pulls/watch.ts": { steps: local, told: local2("one client of a pull") },
  "layers/server/WebReply.ts": { emptyStatuses: fixed },
  "layers/server/nodeHandler.ts": { proxied: fixed },
  "layers/settings/kinds.ts": { "": local },
  "layers/settings/names.ts": { words: local },
  "layers/settings/parse.ts": { isRepeated: local, found: local },
  "layers/settings/read.ts": { unread: local },
  "layers/settings/sources.ts": { "": local, keys: local },
  "layers/sharing/MemoryRateLimiterStore.ts": { buckets: "buckets that are not full, and twice as many" },
  "layers/tokens/CalibratedTokenEstimator.ts": { models: "1,024; then it is emptied" },
  "layers/transport/FetchTransport.ts": { counts: "backends with calls under way" },
  "layers/transport/NodeTransport.ts": {
    origins: `${swept}; connections are closed`,
    open: "connections to one backend that are open",
  },
  "layers/transport/failures.ts": { neverConnected: fixed, exhausted: fixed },
  "layers/transport/nodeCall.ts": { connections: "a WeakMap: goes with the socket" },
  "plugins/guards/AliasGuard.ts": { chains: fixed },
  "plugins/guards/ContextGuard.ts": { siblings: fixed },
  "plugins/guards/rateLimit/running.ts": { byName: swept },
  "plugins/observers/DecisionHistory.ts": { open: "the size of the history" },
  "plugins/observers/requestLine.ts": { common: "64 models; then it is emptied" },
  "plugins/plans/DemandPlan.ts": { histories: swept },
  "plugins/plans/listed.ts": { gating: "models of the setting; made anew with each version of it", names: local },
  "plugins/plans/ReplicaPlan.ts": { busySince: "models of the catalog", hotAt: "models of the catalog", keys: local },
  "plugins/retry/HedgeRetry.ts": { seen: swept },
  "plugins/scorers/PeakEwma.ts": { latencies: swept },
  "plugins/scorers/SessionAffinity.ts": { last: "owners of one model: backends of the fleet" },
  "support/listeners.ts": { listeners: "layers and scopes that listen" },
  "support/memberOf.ts": { tables: "a WeakMap: goes with the list of members", table: fleetOnly },
  "support/perBackend.ts": { known: fleetOnly, present: local },
  "support/sweptMap.ts": { entries: swept },
  "layers/events/RouterMetrics.ts": { tenants: "names of tenants in the settings" },
  "layers/events/requestSeries.ts": {
    routes: "paths of inference; goes with the model",
    backends: swept,
    tenants: swept,
    models: swept,
    attempts: swept,
    routing: "paths of inference",
  },
  "layers/placement/pluginMeter.ts": { nanos: local2("one placement") },
  "layers/server/LogLines.ts": { "": fixed },
  "layers/tracing/attemptSpans.ts": { places: "1,000; then it is emptied" },
  "layers/memory/prewarm/evaluations.ts": { known: local },
  "layers/memory/prewarm/prewarmMeter.ts": { loading: local },
  "layers/routes/admin/feed.ts": { parts: local, readers: "64 at most; one goes when it stops reading" },
  "layers/routes/admin/methods.ts": { byPath: fixed, known: fixed },
  "layers/routes/admin/pins.ts": { pins: "what operators pin, until they unpin it" },
  "layers/routes/admin/state.ts": { spills: local, models: local },
  "support/exemplars.ts": {
    byRegistry: "a WeakMap: goes with the registry",
    known: "series that are counted; goes with the series",
  },
  "support/metricCells.ts": {
    byRegistry: "a WeakMap: goes with the registry",
    known: "series that are counted; goes with the series",
  },
  "support/metricSeries.ts": { known: "values of one label, a small set; the other is a SweptMap" },
}

const made = /new (?:Map|Set|WeakMap|SweptMap)\b/
/** The name that a line gives to the map; empty where it gives none. */
const nameOn = (line: string): string =>
  (/(\w+)\s*(?::[^=]+)?=\s*[^=]*new (?:Map|Set|WeakMap|SweptMap)\b/.exec(line) ??
    /(\w+): (?:[^,]*)?new (?:Map|Set|WeakMap|SweptMap)\b/.exec(line))?.[1] ?? ""

const found = (): Record<string, Set<string>> => {
  const all: Record<string, Set<string>> = {}
  for (const folder of ["layers", "plugins", "support"]) {
    for (
      const path of readdirSync(new URL(`../src/${folder}`, import.meta.url), { recursive: true, encoding: "utf8" })
    ) {
      const file = `${folder}/${path.replaceAll("\\", "/")}`
      if (!file.endsWith(".ts")) continue
      for (const line of readFileSync(new URL(`../src/${file}`, import.meta.url), "utf8").split("\n")) {
        if (made.test(line) && !/^\s*(\*|\/\/|\/\*)/.test(line)) (all[file] ??= new Set()).add(nameOn(line))
      }
    }
  }
  return all
}

describe("what the router keeps", () => {
  it("is in the list, each map with its bound", () => {
    const there = found()
    assert.isAbove(Object.keys(there).length, 50)
    const missing = Object.entries(there).flatMap(([file, names]) =>
      [...names].filter((name) => bounds[file]?.[name] === undefined).map((name) => `${file}: ${name}`)
    )
    assert.deepStrictEqual(missing, [], "a map without a bound: say in this list what keeps it small")
    const gone = Object.entries(bounds).flatMap(([file, names]) =>
      Object.keys(names).filter((name) => there[file]?.has(name) !== true).map((name) => `${file}: ${name}`)
    )
    assert.deepStrictEqual(gone, [], "a map that is not there any more")
  })
})

describe("SweptMap", () => {
  it("forgets what nobody uses, and keeps what is used, busy or new", () => {
    const dropped: Array<number> = []
    const map = new SweptMap<number>({
      sweepAt: 10,
      isIdle: (value) => value !== 7,
      dropped: (value) => dropped.push(value),
    })
    for (let i = 0; i < 100_000; i++) {
      map.set(`k${i}`, i)
      if (i >= 3) assert.strictEqual(map.get("k3"), 3)
      assert.strictEqual(map.get(`k${i}`), i)
      assert.isAtMost(map.size, 20)
    }
    assert.strictEqual(map.get("k7"), 7)
    assert.isUndefined(map.get("k8"))
    assert.strictEqual(dropped.length + map.size, 100_000)
  })

  it("keeps all of what is in use, however much that is", () => {
    const map = new SweptMap<number>({ sweepAt: 10 })
    for (let i = 0; i < 300; i++) {
      map.set(`k${i}`, i)
      for (let other = 0; other < i; other++) map.get(`k${other}`)
    }
    assert.strictEqual(map.size, 300)
    assert.strictEqual(map.getOrMake("k5", () => -1), 5)
    map.delete("k5")
    assert.strictEqual(map.getOrMake("k5", () => -1), -1)
  })
})
