/**
 * A day of a router on which everything changes: each client is another tenant, backends come and go, and some of them
 * fail. What the router keeps must not grow with those that were there once.
 */
import { Effect, Layer } from "effect"
import { RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as Members from "../../src/layers/fleet/members.ts"
import * as RouterMetrics from "../../src/layers/events/RouterMetrics.ts"
import * as MemoryVramLedger from "../../src/layers/memory/ledger/MemoryVramLedger.ts"
import * as NoGpuProbe from "../../src/layers/gpu/NoGpuProbe.ts"
import * as LearnedModelFootprints from "../../src/layers/memory/footprint/LearnedModelFootprints.ts"
import * as PlannedPrewarmer from "../../src/layers/memory/prewarm/PlannedPrewarmer.ts"
import * as PollingResidency from "../../src/layers/memory/residency/PollingResidency.ts"
import * as OllamaModelCatalog from "../../src/layers/catalog/OllamaModelCatalog.ts"
import * as PollingBackendHealth from "../../src/layers/health/PollingBackendHealth.ts"
import * as CostAwareVictimPicker from "../../src/plugins/victims/CostAwareVictimPicker.ts"
import * as MemoryRateLimiterStore from "../../src/layers/sharing/MemoryRateLimiterStore.ts"
import * as Standard from "../../src/layers/Standard.ts"
import * as ContextGuard from "../../src/plugins/guards/ContextGuard.ts"
import * as RateLimitGuard from "../../src/plugins/guards/RateLimitGuard.ts"
import * as DecisionHistory from "../../src/plugins/observers/DecisionHistory.ts"
import * as DemandPlan from "../../src/plugins/plans/DemandPlan.ts"
import * as ReplicaPlan from "../../src/plugins/plans/ReplicaPlan.ts"
import * as FailoverRetry from "../../src/plugins/retry/FailoverRetry.ts"
import * as HedgeRetry from "../../src/plugins/retry/HedgeRetry.ts"
import * as PeakEwma from "../../src/plugins/scorers/PeakEwma.ts"
import * as SessionAffinity from "../../src/plugins/scorers/SessionAffinity.ts"
import * as StandardProfile from "../../src/plugins/StandardProfile.ts"
import { backend, Fleet } from "../../src/services/Fleet.ts"
import { OllamaApi, type TagsModel } from "../../src/services/OllamaApi.ts"
import { Router } from "../../src/services/Router.ts"
import { Transport, TransportError } from "../../src/services/Transport.ts"
import { bytes, RecordingReply } from "../../src/testing/replies.ts"
import { request } from "../../src/testing/requests.ts"

/** Backends at one time. */
const alive = 8
const model = "llama3.1:8b"

/** A pod also has a model that no other pod has, as after a pull by hand. */
const rows = (pod: string): ReadonlyArray<TagsModel> =>
  [model, `own-${pod}:latest`].map((name) => ({
    name,
    model: name,
    size: 4e9,
    digest: `digest-${name}`,
    capabilities: ["completion"],
    modified_at: "",
  } as TagsModel))

const api = Layer.mock(OllamaApi, {
  version: () => Effect.succeed("0.33.0"),
  tags: ({ id }) => Effect.succeed(rows(id)),
  ps: () =>
    Effect.succeed([{
      name: model,
      model,
      size: 5e9,
      size_vram: 5e9,
      digest: `digest-${model}`,
      expires_at: "2090-01-01T00:00:00Z",
      context_length: 4096,
    }]),
  show: () => Effect.succeed({}),
  load: () => Effect.succeed({ loadMillis: 100 } as never),
  unload: () => Effect.void as never,
})

const whole = bytes(JSON.stringify({ model, response: "x", done: true, prompt_eval_count: 40, eval_count: 2 }))

/** Every twentieth pod refuses all calls, which opens its breakers. */
const transport = Layer.succeed(
  Transport,
  {
    send: ({ id }, _call, to) => {
      to.open({ pause: () => {}, resume: () => {}, abort: () => {}, unsent: () => 0 } as Parameters<typeof to.open>[0])
      if (Number(id.slice(1)) % 20 === 0) {
        return to.fail(new TransportError({ reason: "Refused", backend: id, description: "refused" }))
      }
      to.head(200, ["content-type", "application/json"])
      to.data(whole)
      to.end()
    },
  } as Transport["Service"],
)

const pods = (from: number) =>
  Array.from(
    { length: alive },
    (_, i) => backend({ id: `p${from + i}`, url: `http://p${from + i}:11434`, labels: { memory: "24GiB" } }),
  )

/** All maps and sets that are made while it runs, and how many entries those have that still live. */
export class Collections {
  private readonly made: Array<WeakRef<{ readonly size: number }>> = []
  private readonly own = { Map: globalThis.Map, Set: globalThis.Set }

  install(): void {
    const { made, own } = this
    globalThis.Map = class<K, V> extends own.Map<K, V> {
      constructor(entries?: Iterable<readonly [K, V]> | null) {
        super(entries)
        made.push(new WeakRef(this))
      }
    } as MapConstructor
    globalThis.Set = class<V> extends own.Set<V> {
      constructor(values?: Iterable<V> | null) {
        super(values)
        made.push(new WeakRef(this))
      }
    } as SetConstructor
  }

  restore(): void {
    Object.assign(globalThis, this.own)
  }

  /** Entries of all that live, and the largest ones. */
  entries(): { readonly total: number; readonly largest: ReadonlyArray<number> } {
    const sizes: Array<number> = []
    let kept = 0
    for (const ref of this.made) {
      const size = ref.deref()?.size
      if (size === undefined) continue
      this.made[kept++] = ref
      if (size > 0) sizes.push(size)
    }
    this.made.length = kept
    return { total: sizes.reduce((a, b) => a + b, 0), largest: sizes.sort((a, b) => b - a).slice(0, 12) }
  }
}

setFlagsFromString("--expose-gc")
const collect: () => void = runInNewContext("gc")
/** What a weak reference has read stays until the end of a turn. */
const turn = Effect.promise(() => new Promise(setImmediate))

/**
 * Runs the day in `steps`; a step replaces a backend and has `perStep` requests, each of another tenant. `each` is told
 * the number of steps now and then. Gives the number of answers.
 */
export const day = (steps: number, perStep: number, each: (step: number) => void) =>
  Effect.gen(function* () {
    const { fleet, replace } = yield* Members.make(pods(0))
    const ewma = PeakEwma.make()
    const demand = DemandPlan.make()
    const affinity = SessionAffinity.make()
    const standard = StandardProfile.make()
    const stack = Standard.layer({
      guards: [
        RateLimitGuard.make({ requestsPerMinute: 60, tokensPerMinute: 100_000, concurrent: 4 }),
        ContextGuard.make(),
        affinity.guard,
      ],
      profile: {
        ...standard,
        scorers: [
          ...standard.scorers,
          { scorer: ewma.scorer, weight: 1 },
          { scorer: affinity.scorer, weight: 1 },
        ],
      },
      retry: HedgeRetry.make(FailoverRetry.make()),
      observers: [ewma.observer, demand.observer, DecisionHistory.make({ size: 100 }).observer],
      // Seldom, so that a day takes minutes. A backend that comes is looked at once, whatever the interval is.
      health: PollingBackendHealth.layer({ interval: "1 minute" }),
      catalog: OllamaModelCatalog.layer({ interval: "1 minute" }),
      residency: PollingResidency.layer({ interval: "1 minute", victims: CostAwareVictimPicker.make() }),
      prewarmer: PlannedPrewarmer.layer({ plans: [demand.plan, ReplicaPlan.make()], interval: "1 minute" }),
      ledger: MemoryVramLedger.layer({ interval: "1 minute", releaseInterval: "10 seconds" }).pipe(
        Layer.provide(LearnedModelFootprints.layer()),
      ),
    })
    const services = RouterMetrics.layer.pipe(
      Layer.provideMerge(stack),
      Layer.provideMerge(NoGpuProbe.layer),
      Layer.provideMerge(Layer.mergeAll(transport, api, Layer.succeed(Fleet, fleet))),
      Layer.provideMerge(RateLimiter.layer.pipe(Layer.provide(MemoryRateLimiterStore.layer))),
    )
    let answered = 0
    yield* Effect.gen(function* () {
      const router = yield* Router
      yield* TestClock.adjust("10 seconds")
      for (let step = 0; step < steps; step++) {
        yield* replace(pods(step))
        const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
        for (let i = 0; i < perStep; i++) {
          const body = { model, prompt: `prompt of tenant ${step} ${i} `.repeat(4), stream: false }
          const asked = { ...request("/api/generate", body, now), tenant: `tenant-${step}-${i}` }
          const settled = yield* Effect.forkChild(router.route(asked, new RecordingReply()))
          settled.addObserver((exit) => {
            if (exit._tag === "Success" && exit.value.result === "answered") answered++
          })
        }
        yield* TestClock.adjust(86_400_000 / 10_000)
        if ((step + 1) % 200 !== 0) continue
        yield* turn
        collect()
        yield* turn
        each(step + 1)
      }
    }).pipe(Effect.provide(services))
    return answered
  })

/** The collections of such a day, now and then. */
export const watched = (steps: number, perStep: number) =>
  Effect.gen(function* () {
    const collections = new Collections()
    collections.install()
    yield* Effect.addFinalizer(() => Effect.sync(() => collections.restore()))
    const seen: Array<ReturnType<Collections["entries"]>> = []
    const answered = yield* day(steps, perStep, () => seen.push(collections.entries()))
    return { seen, answered }
  })
