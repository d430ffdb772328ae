/** A router to be watched: it serves over a real port, and everything that dashboards show happens in it. */
import { ByteSize, Effect, Layer, Metric, Option, References } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { CircuitBreaker } from "effect/persistence"
import * as L from "../../src/index.ts"
import * as NodeServer from "../../src/layers/server/NodeServer.ts"
import { GpuProbe, Unhealthy } from "../../src/services/GpuProbe.ts"
import {
  SimulatedFleet,
  SimulatedGpuProbe,
  SimulatedModelFootprints,
  SimulatedOllamaApi,
  SimulatedTransport,
} from "../../src/simulated/index.ts"

const { llama31, mistral, model, tinyModels } = SimulatedFleet.Model
/** It fits on no backend. */
export const large = model({ ...llama31, name: "large", size: 20e9 })
export const models = { llama31, mistral }

export const url = (id: string): string => `http://${id}:11434`
const device = (id: string): string => SimulatedGpuProbe.uuid(url(id))
const ids = ["a", "b", "c", "d"]

/** What a test does to the devices. */
export interface Faults {
  /** Bytes that another program takes on the device of `b`. */
  taken: number
  /** Whether the device of `c` has a fault. */
  broken: boolean
  /** Milliseconds that a guard takes. */
  guard: number
}

const probed = (faults: Faults): Layer.Layer<GpuProbe, never, GpuProbe> =>
  Layer.effect(
    GpuProbe,
    Effect.map(GpuProbe, (real) =>
      GpuProbe.of({
        source: real.source,
        read: Effect.map(real.read, (all) => ({
          ...all,
          devices: all.devices.map((one) => {
            if (one.uuid === device("c") && faults.broken) {
              return { ...one, health: Option.some(new Unhealthy({ reason: "Xid 79" })) }
            }
            if (one.uuid !== device("b")) return one
            const left = Option.map(
              one.free,
              (free) => ByteSize.bytes(Math.max(0, ByteSize.toNumberUnsafe(free) - faults.taken)),
            )
            return { ...one, free: left }
          }),
        })),
      })),
  )

const guard = (faults: Faults): L.Plugin.Guard => ({
  kind: "guard",
  name: "slow",
  check: (request) => {
    const pass = { _tag: "Pass", request } as const
    return faults.guard === 0 ? pass : Effect.as(Effect.sleep(faults.guard), pass)
  },
})

const breaker = L.LocalBreaker.layer({
  trip: CircuitBreaker.consecutive(2),
  openDuration: "1 second",
  openDurationMax: "1 second",
}).pipe(Layer.provide(CircuitBreaker.layerStoreMemory()))

/** Its collector takes nothing. */
const tracing = L.OtlpTracing.layer({ url: "http://collector/v1/traces", delayMillis: 100 }).pipe(
  Layer.provide(Layer.succeed(
    HttpClient.HttpClient,
    HttpClient.make((request) =>
      Effect.succeed(HttpClientResponse.fromWeb(request, new Response(null, { status: 503 })))
    ),
  )),
)

/** The router, its server on a free port, and handles for faults. */
export const layer = (faults: Faults) =>
  NodeServer.layer(L.OllamaApp.layer(), { port: 0, host: "127.0.0.1" }).pipe(
    Layer.provideMerge(L.Standard.layer({
      guards: [guard(faults)],
      plans: [L.PinnedPlan.make(["tiny-eos"], { backends: ["d"] })],
      retry: L.FailoverRetry.make(),
      admission: L.BoundedAdmission.layer({ queueCapacity: 60 }),
      events: L.RingRouterEvents.layer({ capacity: 100 }),
      health: L.PollingBackendHealth.layer({ interval: "500 millis" }),
      breaker,
      ledger: L.MemoryVramLedger.layer({ interval: "1 second" }),
    })),
    Layer.provide(tracing),
    Layer.provideMerge(
      Layer.mergeAll(SimulatedTransport.layer, SimulatedOllamaApi.layer, SimulatedModelFootprints.layer),
    ),
    Layer.provideMerge(L.StaticFleet.layer(
      ids.map((id) => ({ url: url(id), id, devices: [device(id)], price: id === "a" ? 2 : 1, parallelism: 4 })),
    )),
    Layer.provideMerge(probed(faults)),
    Layer.provideMerge(SimulatedGpuProbe.layer),
    Layer.provideMerge(SimulatedFleet.layer({
      // Two large models, of which one fits.
      [url("a")]: { gpus: ["12 GiB"], loadBandwidth: 5e9, decodeRate: 200, models: [...tinyModels, llama31, mistral] },
      [url("b")]: { gpus: ["24 GiB"], decodeRate: 200, parallelism: 4, models: tinyModels },
      // The one model that does not fit.
      [url("c")]: { gpus: ["12 GiB"], loadBandwidth: 2e10, decodeRate: 200, models: [large] },
      [url("d")]: { gpus: ["24 GiB"], decodeRate: 200, parallelism: 4, models: tinyModels },
    })),
    Layer.provideMerge(Layer.succeed(Metric.MetricRegistry, new Map())),
    Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "None")),
  )
