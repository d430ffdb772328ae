/** A bespoke router: a scorer of its own, and two layers of the standard stack swapped. */
import { Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import * as L from "../src/index.ts"
import * as NodeServer from "../src/layers/NodeServer.ts"
import * as NodeTransport from "../src/layers/NodeTransport.ts"

/** Short prompts to the small cards, long ones to the big. */
const byLength: L.Plugin.Scorer = {
  kind: "scorer",
  name: "by-length",
  score: ({ backend }, { promptTokens }) => backend.labels["card"] === (promptTokens < 500 ? "small" : "big") ? 1 : 0,
}
const standard = L.StandardProfile.make()

const router = L.Standard.layer({
  profile: { ...standard, scorers: [...standard.scorers, { scorer: byLength, weight: 2 }] },
  admission: L.QueuelessAdmission.layer, // shed at once what cannot start now
  health: L.NoopBackendHealth.layer, // somebody else looks after the backends
})

const fleet = L.StaticFleet.layer([
  { id: "small", url: "http://10.0.0.4:11434", labels: { card: "small" } },
  { id: "big", url: "http://10.0.0.5:11434", labels: { card: "big" }, parallelism: 4 },
])

const server = NodeServer.layer(L.OllamaApp.layer()).pipe(
  Layer.provide(router),
  Layer.provide([fleet, NodeTransport.layer(), L.HttpOllamaApi.layer()]),
  Layer.provide(FetchHttpClient.layer),
)

Effect.runFork(Layer.launch(server))
