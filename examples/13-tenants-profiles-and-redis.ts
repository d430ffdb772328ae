/**
 * A router with keys, rate limits, aliases, a profile for each kind of tenant, and a Redis through which replicas share
 * breakers and rate limits.
 *
 * Run `node examples/13-tenants-profiles-and-redis.ts`. It needs `keys.json`, `fleet.json` and a Redis.
 */
import { NodeFileSystem } from "@effect/platform-node"
import { Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import { RateLimiter } from "effect/persistence"
import * as L from "llamero"
import * as NodeRedis from "llamero/layers/sharing/NodeRedis"
import * as NodeMain from "llamero/layers/server/NodeMain"
import * as NodeServer from "llamero/layers/server/NodeServer"
import * as NodeTransport from "llamero/layers/transport/NodeTransport"
import process from "node:process"

const redis = NodeRedis.layer({ url: process.env["REDIS_URL"] ?? "redis://127.0.0.1:6379" })
const chats = L.SessionAffinity.make()
const standard = L.StandardProfile.make()
const chatting = { ...standard, name: "chatting", scorers: [...standard.scorers, { scorer: chats.scorer, weight: 5 }] }
const spread = { ...standard, name: "spread", picker: L.TwoChoicesPicker.make() }

const router = L.Standard.layer({
  guards: [
    L.ApiKeyGuard.make(),
    L.RateLimitGuard.make({ requestsPerMinute: 600, tokensPerMinute: 200_000 }),
    L.AliasGuard.make({ "gpt-4o": ["llama3.1:8b", "mistral:7b"] }),
    chats.guard,
  ],
  profile: ({ tenant }) => tenant === "batch" ? spread : chatting,
  breaker: L.LocalBreaker.layerRedis().pipe(Layer.provide(redis)),
})
const port = Number(process.env["PORT"] || 11435)
const server = NodeServer.layer(Layer.merge(L.OllamaApp.layer(), L.KeyedRoutes.layer()), { port }).pipe(
  Layer.provide(router),
  Layer.provide([L.FileApiKeys.layer("keys.json"), L.FileFleet.layer("fleet.json")]),
  Layer.provide([NodeTransport.layer(), L.HttpOllamaApi.layer(), NodeFileSystem.layer]),
  Layer.provide(RateLimiter.layer.pipe(Layer.provide(RateLimiter.layerStoreRedis()), Layer.provide(redis))),
  Layer.provide(FetchHttpClient.layer),
)
NodeMain.runMain(Layer.launch(server))
