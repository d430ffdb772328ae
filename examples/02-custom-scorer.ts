/** A router of one's own: two layers swapped and a scorer added. Short prompts go to the small cards, long ones to the big; what cannot start at once is shed. */
import { Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import * as L from "../src/index.ts"
import * as NodeServer from "../src/layers/NodeServer.ts"
import * as NodeTransport from "../src/layers/NodeTransport.ts"

const byLength: L.Plugin.Scorer = {
  kind: "scorer",
  name: "by-length",
  score: ({ backend }, { promptTokens }) => backend.labels["card"] === (promptTokens < 500 ? "small" : "big") ? 1 : 0
}
const standard = L.StandardProfile.make()

const router = L.Standard.layer({
  admission: L.QueuelessAdmission.layer, // instead of BoundedAdmission
  health: L.NoopBackendHealth.layer, // instead of PollingBackendHealth
  profile: { ...standard, scorers: [...standard.scorers, { scorer: byLength, weight: 2 }] }
})

const fleet = L.StaticFleet.layer([
  { id: "small", url: "http://10.0.0.4:11434", labels: { card: "small" } },
  { id: "big", url: "http://10.0.0.5:11434", labels: { card: "big" }, parallelism: 4 }
])

const server = NodeServer.layer(L.OllamaApp.layer()).pipe(
  Layer.provide(router),
  Layer.provide([fleet, NodeTransport.layer(), L.HttpOllamaApi.layer()]),
  Layer.provide(FetchHttpClient.layer)
)
Effect.runFork(Layer.launch(server))
