/**
 * A router put together by hand, from the lines of `src/layers/Standard.ts`: a scorer of its own, and two layers swapped. It sends short prompts to the small
 * cards and long ones to the big, sheds at once what other routers would queue, and leaves health to whoever runs the backends.
 */
import { Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import { CircuitBreaker } from "effect/persistence"
import * as L from "../src/index.ts"
import * as NodeServer from "../src/layers/NodeServer.ts"
import * as NodeTransport from "../src/layers/NodeTransport.ts"

const byLength: L.Plugin.Scorer = {
  kind: "scorer",
  name: "by-length",
  score: ({ backend }, { promptTokens }) => backend.labels["card"] === (promptTokens < 500 ? "small" : "big") ? 1 : 0,
}
const standard = L.StandardProfile.make()
const profile = { ...standard, scorers: [...standard.scorers, { scorer: byLength, weight: 2 }] }

const router = L.PipelineRouter.layer({ retry: L.FailoverRetry.make() }).pipe(
  Layer.provideMerge(Layer.mergeAll(L.NoPrewarmer.layer, L.IndependentCoalescer.layer)),
  Layer.provideMerge(Layer.mergeAll(L.CharactersTokenEstimator.layer(), L.WatchedRelay.layer())),
  Layer.provideMerge(L.QueuelessAdmission.layer), // instead of BoundedAdmission
  Layer.provideMerge(L.ProfilePlacement.layer(profile)),
  Layer.provideMerge(L.EventSources.layer),
  Layer.provideMerge(L.MemoryLeases.layer),
  Layer.provideMerge(L.PollingResidency.layer()),
  Layer.provideMerge(L.UnmanagedVramLedger.layer),
  Layer.provideMerge(L.OllamaModelCatalog.layer()),
  Layer.provideMerge(L.NoopBackendHealth.layer), // instead of PollingBackendHealth
  Layer.provideMerge(L.LocalBreaker.layer()),
  Layer.provide(CircuitBreaker.layerStoreMemory()),
  Layer.provideMerge(L.RingRouterEvents.layer()),
)

const fleet = L.StaticFleet.layer([
  { id: "small", url: "http://10.0.0.4:11434", labels: { card: "small" } },
  { id: "big", url: "http://10.0.0.5:11434", labels: { card: "big" }, parallelism: 4 },
])
const reach = Layer.mergeAll(fleet, NodeTransport.layer(), L.HttpOllamaApi.layer())

Effect.runFork(Layer.launch(
  NodeServer.layer(L.OllamaApp.layer()).pipe(
    Layer.provide(router),
    Layer.provide(reach),
    Layer.provide(FetchHttpClient.layer),
  ),
))
