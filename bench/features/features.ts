/** The features of the router, each of which can be turned on or off. */
import { Effect, Layer } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { RateLimiter } from "effect/persistence"
import { openSync, writeSync } from "node:fs"
import { join } from "node:path"
import * as QueuelessAdmission from "../../src/layers/admission/QueuelessAdmission.ts"
import * as IndependentCoalescer from "../../src/layers/coalescing/IndependentCoalescer.ts"
import * as RouterMetrics from "../../src/layers/events/RouterMetrics.ts"
import * as StaticApiKeys from "../../src/layers/keys/StaticApiKeys.ts"
import * as MemoryLeases from "../../src/layers/leases/MemoryLeases.ts"
import * as PipelineRouter from "../../src/layers/router/PipelineRouter.ts"
import * as LogLines from "../../src/layers/server/LogLines.ts"
import * as Standard from "../../src/layers/Standard.ts"
import * as OtlpTracing from "../../src/layers/tracing/OtlpTracing.ts"
import * as CharactersTokenEstimator from "../../src/layers/tokens/CharactersTokenEstimator.ts"
import * as AliasGuard from "../../src/plugins/guards/AliasGuard.ts"
import * as ApiKeyGuard from "../../src/plugins/guards/ApiKeyGuard.ts"
import * as ContextGuard from "../../src/plugins/guards/ContextGuard.ts"
import * as RateLimitGuard from "../../src/plugins/guards/RateLimitGuard.ts"
import * as AccessLogObserver from "../../src/plugins/observers/AccessLogObserver.ts"
import * as DecisionHistory from "../../src/plugins/observers/DecisionHistory.ts"
import * as FailoverRetry from "../../src/plugins/retry/FailoverRetry.ts"
import * as HedgeRetry from "../../src/plugins/retry/HedgeRetry.ts"
import { RouterEvents } from "../../src/services/RouterEvents.ts"
import { scratch } from "../processes.ts"
import { MODEL } from "../wire.ts"
import { EMBEDDER, type Load, OTHER } from "./router.ts"

type Stack = ReturnType<typeof Standard.layer>

export interface Feature {
  readonly name: string
  readonly load: Load & { readonly name: string }
  readonly without: Stack
  readonly with: Stack
}

/** No two bodies under way are the same, so that no request is coalesced and all the work is done. */
const distinct = (body: (text: string) => object): ReadonlyArray<string> =>
  Array.from({ length: 256 }, (_, i) => JSON.stringify(body(`${i} Why is the sky blue? `.padEnd(280, "la la "))))
const messages = (content: string) => [{ role: "user", content }]

const chats = (more: object) => distinct((text) => ({ model: MODEL, messages: messages(text), ...more }))
const chat: Feature["load"] = { name: "chat, 400 bytes", path: "/api/chat", bodies: chats({ stream: false }) }
const seeded = {
  name: "chat with a seed",
  path: "/api/chat",
  bodies: chats({ stream: false, options: { seed: 1, temperature: 0 } }),
}
const embeds = (repeat: number) => distinct((text) => ({ model: EMBEDDER, input: text.repeat(repeat) }))
const embed = { name: "embed, 300 bytes", path: "/api/embed", bodies: embeds(1) }
const longEmbed = { name: "embed, 8 KiB", path: "/api/embed", bodies: embeds(28) }
/** The two bodies in turn, so that nothing cached from one request helps the next. */
const both = {
  name: "chat, two models",
  path: "/api/chat",
  bodies: chat.bodies.map((body, i) => i % 2 === 0 ? body : body.replace(MODEL, OTHER)),
}
const stream = { name: "64-chunk stream", path: "/api/chat", bodies: chats({ stream: true }) }

const guards = [ContextGuard.make()]
const full: Stack = Standard.layer({ guards })

const silent = Layer.succeed(RouterEvents, {
  publish: () => {},
  recent: () => [],
  flush: () => {},
  lost: () => 0,
  subscribe: () => Effect.void,
})

const bare: Stack = Standard.layer({
  admission: QueuelessAdmission.layer,
  coalescer: IndependentCoalescer.layer,
  events: silent,
  leases: MemoryLeases.layerFixed,
  tokens: CharactersTokenEstimator.layer(),
})

const key = "a-key-for-the-benchmark"
const keyed = { ...chat, headers: ["Authorization", `Bearer ${key}`] }
const keys = StaticApiKeys.layer([{ id: "bench", secret: { key } }])
const limiter = RateLimiter.layer.pipe(Layer.provide(RateLimiter.layerStoreMemory))
const limits = { requestsPerMinute: 1e9, tokensPerMinute: 1e12, concurrent: 1e6 }

/** Tracing of a share of the requests. The collector is in this process, and answers at once. */
const collector = Layer.succeed(
  HttpClient.HttpClient,
  HttpClient.make((request) => Effect.succeed(HttpClientResponse.fromWeb(request, new Response()))),
)
const traced = (ratio: number, stack = full): Stack =>
  stack.pipe(
    Layer.provide(OtlpTracing.layer({ url: "http://collector/v1/traces", sampler: "traceidratio", ratio })),
    Layer.provide(collector),
  )

const counted = (stack: Stack): Stack => RouterMetrics.layer.pipe(Layer.provideMerge(stack))

/** A line in a file for each request, as the reference server writes it. */
const file = openSync(join(scratch, "requests.log"), "a")
const lines = LogLines.together({ write: (text) => void writeSync(file, `${text}\n`) }).write
const logging = AccessLogObserver.make({ lines })

const recording = () => ({
  router: PipelineRouter.layer({ guards, retry: FailoverRetry.make(), placementsPerSecond: 20 }),
  history: DecisionHistory.make({ size: 1000 }).observer,
})
const remembering = (): Stack => {
  const { history, router } = recording()
  return Standard.layer({ observers: [history], router })
}
const everything = (): Stack => {
  const { history, router } = recording()
  return traced(0.01, counted(Standard.layer({ observers: [logging, history], router })))
}

/** A feature is on in the reference server unless its entry says otherwise. */
export const features: ReadonlyArray<Feature> = [
  { name: "nothing, twice", load: chat, without: full, with: full },
  {
    name: "coalescing, not shared",
    load: chat,
    without: Standard.layer({ guards, coalescer: IndependentCoalescer.layer }),
    with: full,
  },
  ...[seeded, embed, longEmbed].map((load): Feature => ({
    name: "coalescing",
    load,
    without: Standard.layer({ guards, coalescer: IndependentCoalescer.layer }),
    with: full,
  })),
  { name: "context guard", load: chat, without: Standard.layer(), with: full },
  {
    name: "calibrated token estimate",
    load: chat,
    without: Standard.layer({ guards, tokens: CharactersTokenEstimator.layer() }),
    with: full,
  },
  {
    name: "fair bounded queues",
    load: chat,
    without: Standard.layer({ guards, admission: QueuelessAdmission.layer }),
    with: full,
  },
  {
    name: "adaptive concurrency",
    load: chat,
    without: Standard.layer({ guards, leases: MemoryLeases.layerFixed }),
    with: full,
  },
  { name: "events", load: chat, without: Standard.layer({ guards, events: silent }), with: full },
  { name: "metrics", load: both, without: full, with: counted(full) },
  { name: "all of these", load: chat, without: bare, with: counted(full) },
  { name: "all of these", load: stream, without: bare, with: counted(full) },
  { name: "decisions, 1000 kept", load: chat, without: full, with: remembering() },
  {
    name: "a line in a file for each request",
    load: chat,
    without: full,
    with: Standard.layer({ guards, observers: [logging] }),
  },
  { name: "metrics, decisions, lines and 1 % of the traces", load: both, without: full, with: everything() },
  { name: "metrics, decisions, lines and 1 % of the traces", load: stream, without: full, with: everything() },
  // Without a collector nothing is done: that is the row "nothing, twice".
  { name: "tracing, 1 % of the requests (off)", load: chat, without: full, with: traced(0.01) },
  { name: "tracing, all requests (off)", load: chat, without: full, with: traced(1) },
  {
    name: "API keys (off)",
    load: keyed,
    without: full,
    with: Standard.layer({ guards: [ApiKeyGuard.make(), ...guards] }).pipe(Layer.provide(keys)),
  },
  {
    name: "rate limits (off)",
    load: chat,
    without: full,
    with: Standard.layer({ guards: [RateLimitGuard.make(limits), ...guards] }).pipe(Layer.provide(limiter)),
  },
  {
    name: "aliases (off)",
    load: chat,
    without: full,
    with: Standard.layer({ guards: [AliasGuard.make({ [MODEL]: [MODEL] }), ...guards] }),
  },
  {
    name: "hedging (off)",
    load: chat,
    without: full,
    with: Standard.layer({ guards, retry: HedgeRetry.make(FailoverRetry.make()) }),
  },
]
