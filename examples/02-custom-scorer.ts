/**
 * A scorer of your own: short prompts go to the small cards, long prompts to the big ones.
 * `node examples/02-custom-scorer.ts`
 */
import { Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import { HttpOllamaApi, OllamaApp, type Plugin, Standard, StandardProfile, StaticFleet } from "llamero"
import * as NodeMain from "llamero/layers/server/NodeMain"
import * as NodeServer from "llamero/layers/server/NodeServer"
import * as NodeTransport from "llamero/layers/transport/NodeTransport"
import process from "node:process"

const byLength: Plugin.Scorer = {
  kind: "scorer",
  name: "by-length",
  score: ({ backend }, { promptTokens }) => backend.labels["card"] === (promptTokens < 500 ? "small" : "big") ? 1 : 0,
}
const { scorers, ...standard } = StandardProfile.make()
const router = Standard.layer({ profile: { ...standard, scorers: [...scorers, { scorer: byLength, weight: 2 }] } })
const cards = ["small", "big"].map((card) => ({ url: `http://${card}:11434`, labels: { card } }))
const server = NodeServer.layer(OllamaApp.layer(), { port: Number(process.env["PORT"] || 11435) }).pipe(
  Layer.provide(router),
  Layer.provide([StaticFleet.layer(cards), NodeTransport.layer(), HttpOllamaApi.layer()]),
  Layer.provide(FetchHttpClient.layer),
)
NodeMain.runMain(Layer.launch(server))
