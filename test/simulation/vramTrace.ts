/**
 * Two hours of traffic on one simulated A100 with six models that do not all fit: through llamero, and directly at the
 * same server.
 */
import { Effect, Layer, Random } from "effect"
import { TestClock } from "effect/testing"
import * as BoundedAdmission from "../../src/layers/admission/BoundedAdmission.ts"
import * as PlannedPrewarmer from "../../src/layers/memory/prewarm/PlannedPrewarmer.ts"
import type * as Standard from "../../src/layers/Standard.ts"
import * as DemandPlan from "../../src/plugins/plans/DemandPlan.ts"
import * as PinnedPlan from "../../src/plugins/plans/PinnedPlan.ts"
import { backend } from "../../src/services/Fleet.ts"
import { Router } from "../../src/services/Router.ts"
import { Transport } from "../../src/services/Transport.ts"
import { VramLedger } from "../../src/services/VramLedger.ts"
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"
import * as SimulatedTransport from "../../src/simulated/SimulatedTransport.ts"
import { overManaged } from "../support/managed.ts"
import { request, url } from "../support/routers.ts"
import { RecordingReply } from "../support/sinks.ts"

const { a100, Model } = SimulatedFleet
const mebibyte = 1024 ** 2
const shape = { overhead: 560 * mebibyte, tokenizer: "chars4", heads: 40, kvHeads: 8, contextTrained: 32_768 } as const

/** Sizes as published for the Q4_K_M files, rounded. */
const others = [
  Model.model({ ...shape, name: "qwen2.5:32b", size: 19.9e9, blocks: 64, embeddingLength: 5120 }),
  Model.model({
    ...shape,
    name: "gemma2:27b",
    size: 16.6e9,
    blocks: 46,
    heads: 32,
    kvHeads: 16,
    embeddingLength: 4096,
  }),
  Model.model({ ...shape, name: "gemma2:9b", size: 5.8e9, blocks: 42, embeddingLength: 5120 }),
]
export const embedder = Model.embedder.name
/** The popularity is invented: no public trace has model names. */
const popularity: ReadonlyArray<readonly [string, number]> = [
  [Model.llama31.name, 0.26],
  [Model.mistral.name, 0.2],
  [embedder, 0.12],
  ["qwen2.5:32b", 0.2],
  ["gemma2:27b", 0.12],
  ["gemma2:9b", 0.1],
]

export const server: SimulatedFleet.ServerOptions = {
  ...a100,
  models: [Model.llama31, Model.mistral, Model.embedder, ...others],
  // The same for both. Ollama's default of 3 would make the comparison too easy.
  maxLoaded: 16,
  callsMax: 0,
}

export interface Arrival {
  readonly at: number
  readonly model: string
}

const hours = 2
/** Sessions: a user makes a few requests to the same model. */
export const arrivals = (seed: string): Effect.Effect<ReadonlyArray<Arrival>> =>
  Effect.gen(function* () {
    const made: Array<Arrival> = []
    const end = hours * 3_600_000
    let at = 60_000
    while (at < end) {
      let left = yield* Random.next
      const [model] = popularity.find(([, part]) => (left -= part) < 0) ?? popularity[0]!
      const requests = 1 + Math.floor(8 * (yield* Random.next))
      let next = at
      for (let i = 0; i < requests; i++) {
        made.push({ at: Math.round(next), model })
        next += -Math.log(1 - (yield* Random.next)) * 12_000
      }
      at += -Math.log(1 - (yield* Random.next)) * 45_000
    }
    return made.filter((one) => one.at < end).sort((a, b) => a.at - b.at)
  }).pipe(Random.withSeed(seed))

const call = (model: string) =>
  model === embedder
    ? ["/api/embed", { model, input: "hello" }] as const
    : ["/api/generate", { model, prompt: "hello", stream: false, options: { num_predict: 40 } }] as const

export interface Figures {
  readonly requests: number
  /** Arrivals whose model was not in memory. */
  readonly cold: number
  readonly coldPrewarmed: number
  readonly loads: number
  readonly spills: number
  readonly overcommits: number
  readonly failed: number
  /** Share of the card's memory in use, over the time in which the models in use would not all fit. */
  readonly use: number
  /** Share of the time in which they would not all fit. */
  readonly pressed: number
}

const windowMillis = 600_000

/** Plays a trace in steps of a quarter of a second, and reads the server's state in each. */
const play = <E, R>(
  trace: ReadonlyArray<Arrival>,
  send: (model: string, failed: () => void) => Effect.Effect<void, E, R>,
  overcommitted: () => boolean,
) =>
  Effect.gen(function* () {
    const simulated = (yield* SimulatedFleet.SimulatedFleet).get(url("a"))
    const lastAt = new Map<string, number>()
    const sizeOf = new Map<string, number>()
    const figures = { requests: 0, cold: 0, coldPrewarmed: 0, spills: 0, overcommits: 0, failed: 0 }
    let use = 0
    let pressed = 0
    let next = 0
    let step = 0
    const end = hours * 3_600_000
    for (let now = 0; now < end; now += 250) {
      for (; next < trace.length && trace[next]!.at <= now; next++) {
        const { model } = trace[next]!
        figures.requests++
        lastAt.set(model, now)
        if (!simulated.resident.some(({ name }) => name === model)) {
          figures.cold++
          if (model === embedder) figures.coldPrewarmed++
        }
        yield* Effect.forkChild(send(model, () => void figures.failed++), { startImmediately: true })
      }
      yield* TestClock.adjust(250)
      if (overcommitted()) figures.overcommits++
      if (++step % 4 !== 0) continue
      for (const { name, size } of simulated.resident) sizeOf.set(name, size)
      const wanted = Array.from(lastAt).reduce(
        (sum, [name, at]) => now - at < windowMillis ? sum + (sizeOf.get(name) ?? 0) : sum,
        0,
      )
      if (simulated.resident.some(({ size, vram }) => vram < size)) figures.spills++
      const [gpu] = simulated.gpus
      if (gpu === undefined || wanted <= gpu.total - 2 * 1024 ** 3) continue
      pressed++
      use += gpu.used / gpu.total
    }
    return {
      ...figures,
      loads: simulated.counts.loads,
      use: pressed === 0 ? 0 : use / pressed,
      pressed: pressed / (end / 1000),
    }
  })

/** Through llamero. A plan pins the embedding model, and another one loads recently used models into free memory. */
export const throughLlamero = (seed: string, swaps: Standard.Swaps = {}): Effect.Effect<Figures> =>
  Effect.gen(function* () {
    const trace = yield* arrivals(seed)
    const demand = DemandPlan.make()
    return yield* Effect.gen(function* () {
      const router = yield* Router
      const ledger = yield* VramLedger
      const send = (model: string, failed: () => void) =>
        Effect.gen(function* () {
          const [path, body] = call(model)
          const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
          const { status } = yield* router.route(request(path, body, now), new RecordingReply())
          if (status !== 200) failed()
        })
      const overcommitted = () =>
        ledger.devices().some(({ held, total }) => total !== undefined && held > total - 2 * 1024 ** 3 + 1)
      return yield* play(trace, send, overcommitted)
    }).pipe(
      Effect.provide(
        overManaged({ a: server }, {
          ...swaps,
          admission: BoundedAdmission.layer({ queueMillis: 120_000 }),
          prewarmer: PlannedPrewarmer.layer({ plans: [PinnedPlan.make([embedder]), demand.plan] }),
          observers: [demand.observer],
        }),
        { local: true },
      ),
    )
  }).pipe(Effect.scoped, Random.withSeed(seed), Effect.provide(TestClock.layer()), Effect.orDie)

/** The same trace, sent directly to the server. */
export const direct = (seed: string): Effect.Effect<Figures> =>
  Effect.gen(function* () {
    const trace = yield* arrivals(seed)
    return yield* Effect.gen(function* () {
      const transport = yield* Transport
      const to = backend(url("a"))
      const send = (model: string, failed: () => void) =>
        Effect.callback<void>((resume) => {
          const [path, body] = call(model)
          const bytes = new TextEncoder().encode(JSON.stringify(body))
          transport.send(to, { method: "POST", path, headers: [], body: bytes }, {
            open: () => {},
            head: (status) => {
              if (status !== 200) failed()
            },
            data: () => {},
            end: () => resume(Effect.void),
            fail: () => {
              failed()
              resume(Effect.void)
            },
          })
        })
      return yield* play(trace, send, () => false)
    }).pipe(
      Effect.provide(SimulatedTransport.layer.pipe(Layer.provideMerge(SimulatedFleet.layer({ [url("a")]: server }))), {
        local: true,
      }),
    )
  }).pipe(Effect.scoped, Effect.provide(TestClock.layer()))
