/** Wrong layers of health, catalog, residency, API and transport are caught by the exported contracts. */
import { describe } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { BackendHealth } from "../../src/services/BackendHealth.ts"
import { backend } from "../../src/services/Fleet.ts"
import { ModelCatalog } from "../../src/services/ModelCatalog.ts"
import { OllamaApi } from "../../src/services/OllamaApi.ts"
import { Residency } from "../../src/services/Residency.ts"
import { Transport } from "../../src/services/Transport.ts"
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"
import * as SimulatedOllamaApi from "../../src/simulated/SimulatedOllamaApi.ts"
import * as SimulatedTransport from "../../src/simulated/SimulatedTransport.ts"
import {
  BackendHealthContract,
  ModelCatalogContract,
  OllamaApiContract,
  ResidencyContract,
  TransportContract,
} from "../../src/testing/index.ts"
import * as MockBackendHealth from "../../src/testing/mocks/MockBackendHealth.ts"
import * as MockModelCatalog from "../../src/testing/mocks/MockModelCatalog.ts"
import * as MockResidency from "../../src/testing/mocks/MockResidency.ts"
import { caught, passes } from "./caught.ts"

const { MockHealth } = MockBackendHealth
const health = (layer: Layer.Layer<BackendHealth | MockBackendHealth.MockHealth>) =>
  BackendHealthContract.contract(layer, {
    healthy: Effect.map(MockHealth, ({ set }) => set("a", "healthy")),
    unhealthy: Effect.map(MockHealth, ({ set }) => set("a", "unhealthy", "says the test")),
  })

const listed = [{ name: "llama3.1:8b", owners: ["a", "b"] }, { name: "big:cloud", owners: ["b"] }]
const catalog = (layer: Layer.Layer<ModelCatalog | MockModelCatalog.MockModels>) =>
  ModelCatalogContract.contract(layer, {
    ready: Effect.void,
    drop: Effect.map(MockModelCatalog.MockModels, ({ set }) => set(listed)),
  })
const models = MockModelCatalog.layer([...listed, { name: "embed", owners: ["a"], capabilities: ["embedding"] }])

const owners = ["a", "b"]
const loaded = MockModelCatalog.layer([{ name: "m", owners }, { name: "n", owners }, { name: "r:cloud", owners }])
const residency = (layer: Layer.Layer<Residency | MockResidency.MockLoads>) =>
  ResidencyContract.contract(Layer.merge(layer, loaded), {
    end: (model, failure) => Effect.map(MockResidency.MockLoads, ({ finish }) => finish("a", model, failure)),
  })

const servers = SimulatedFleet.layer({
  "http://sim:11434": { models: [SimulatedFleet.Model.tinyEos, SimulatedFleet.Model.tinyEmbed] },
})
const api = SimulatedOllamaApi.layer.pipe(Layer.provide(servers))

const url = "http://sim:11434"
const faults = { hang: SimulatedFleet.Fault.hang, cut: SimulatedFleet.Fault.reset(3) }
const transport = (layer: Layer.Layer<Transport, never, SimulatedFleet.SimulatedFleet>) =>
  TransportContract.contract({
    layer: layer.pipe(Layer.provideMerge(SimulatedFleet.layer({ [url]: { decodeRate: 1000, callsMax: 10 } }))),
    without: ["flood", "refuse", "reset"],
    body: (behaviour) =>
      new TextEncoder().encode(JSON.stringify({
        model: "tiny-eos",
        messages: [{ role: "user", content: "hi" }],
        stream: behaviour !== "whole",
      })),
    behave: (behaviour) =>
      Effect.map(SimulatedFleet.SimulatedFleet, ({ get }) => {
        const server = get(url)
        if (behaviour === "hang" || behaviour === "cut") {
          server.script(faults[behaviour], { path: "/api/chat", times: 1 })
        }
        return {
          backend: backend(url),
          aborted: () => server.calls.filter(({ state }) => state === "aborted").length,
          received: () => server.calls.at(-1)?.body ?? new Uint8Array(0),
          sent: () => 0,
        }
      }),
  })

passes("MockBackendHealth", health(MockBackendHealth.layer()))
passes("MockModelCatalog", catalog(models))
passes("MockResidency", residency(MockResidency.layer()))
passes("SimulatedOllamaApi", OllamaApiContract.contract(api))
passes("SimulatedTransport", transport(SimulatedTransport.layer))

describe("a wrong layer", () => {
  caught(
    "health that is changed by saturation",
    health(
      Layer.effect(
        BackendHealth,
        Effect.map(Effect.all([BackendHealth, MockHealth]), ([made, { set }]) => ({
          ...made,
          record: (id, outcome) =>
            outcome.kind === "saturated" ? set(id, "unhealthy", "busy") : made.record(id, outcome),
        })),
      ).pipe(Layer.provideMerge(MockBackendHealth.layer())),
    ),
    "is not moved by outcomes that say nothing about the backend",
    /unhealthy/,
  )
  caught(
    "a catalog that knows one spelling of each name",
    catalog(
      Layer.effect(
        ModelCatalog,
        Effect.map(ModelCatalog, (made) => ({
          ...made,
          peek: (name) => made.models().find(({ key }) => key === name),
        })),
      ).pipe(Layer.provideMerge(models)),
    ),
    "finds one model under all its spellings",
    /./,
  )
  caught(
    "residency that forgets why a load failed",
    residency(
      Layer.effect(Residency, Effect.map(Residency, (made) => ({ ...made, failure: () => undefined }))).pipe(
        Layer.provideMerge(MockResidency.layer()),
      ),
    ),
    "remembers a failed load, and does not try again at once",
    /in place when listeners are told|out of memory|expected/i,
  )
  caught(
    "an API that loads embedders like completion models",
    OllamaApiContract.contract(
      Layer.effect(
        OllamaApi,
        Effect.map(OllamaApi, (made) => ({
          ...made,
          load: (to, model, options) => made.load(to, model, { ...options, embedder: false }),
        })),
      ).pipe(Layer.provide(api)),
    ),
    "loads completion models and embedders, and unloads them",
    /./,
  )
  caught(
    "a transport that goes on after an abort",
    transport(
      Layer.effect(
        Transport,
        Effect.map(Transport, ({ send }) => ({
          send: (to, call, sink) =>
            send(to, call, {
              open: (upstream) => sink.open({ ...upstream, abort: () => {}, pause: () => {}, resume: () => {} }),
              head: (status, headers) => sink.head(status, headers),
              data: (chunk) => sink.data(chunk),
              end: () => sink.end(),
              fail: (error) => sink.fail(error),
            }),
        })),
      ).pipe(Layer.provide(SimulatedTransport.layer)),
    ),
    "is silent after an abort in the middle of a chunk",
    /./,
  )
})
