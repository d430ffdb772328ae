/** A bespoke router: a scorer of its own, and two layers of the standard stack swapped. */
import { NodeRuntime } from "@effect/platform-node"
import { Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import {
  HttpOllamaApi,
  NoopBackendHealth,
  OllamaApp,
  type Plugin,
  QueuelessAdmission,
  Standard,
  StandardProfile,
  StaticFleet,
} from "llamero"
import * as NodeServer from "llamero/layers/NodeServer"
import * as NodeTransport from "llamero/layers/NodeTransport"

/** Short prompts to the small cards, long ones to the big. */
const byLength: Plugin.Scorer = {
  kind: "scorer",
  name: "by-length",
  score: ({ backend }, { promptTokens }) => backend.labels["card"] === (promptTokens < 500 ? "small" : "big") ? 1 : 0,
}
const standard = StandardProfile.make()

const router = Standard.layer({
  profile: { ...standard, scorers: [...standard.scorers, { scorer: byLength, weight: 2 }] },
  admission: QueuelessAdmission.layer, // shed at once what cannot start now
  health: NoopBackendHealth.layer, // somebody else looks after the backends
})

const fleet = StaticFleet.layer([
  { id: "small", url: "http://10.0.0.4:11434", labels: { card: "small" } },
  { id: "big", url: "http://10.0.0.5:11434", labels: { card: "big" }, parallelism: 4 },
])

const server = NodeServer.layer(OllamaApp.layer()).pipe(
  Layer.provide(router),
  Layer.provide([fleet, NodeTransport.layer(), HttpOllamaApi.layer()]),
  Layer.provide(FetchHttpClient.layer),
)

NodeRuntime.runMain(Layer.launch(server))
