/**
 * API keys for two teams, with models, limits and priorities of their own. The GPU is simulated.
 * Run `node examples/05-tenants-and-keys.ts`. It prints which requests pass and which are refused.
 */
import { Layer } from "effect"
import { RateLimiter } from "effect/persistence"
import * as L from "llamero"
import { SimulatedFleet, SimulatedOllamaApi, SimulatedTransport } from "llamero/simulated"

const url = "http://gpu-1:11434"
const keys = L.StaticApiKeys.layer([
  { id: "web", tenant: "shop", secret: { key: "sk-web" }, priority: "interactive" },
  {
    id: "nightly",
    tenant: "research",
    // In production write the hash of the key, { sha256: "…" }, or use FileApiKeys.layer("keys.json").
    secret: { key: "sk-nightly" },
    models: ["llama3.1:8b"],
    limits: { requestsPerMinute: 2, tokensPerMinute: 20_000, concurrent: 4 },
    priority: "batch",
  },
])

// Guards are asked in this order, before a request is queued.
const router = L.Standard.layer({ guards: [L.ApiKeyGuard.make(), L.RateLimitGuard.make(), L.ContextGuard.make()] })
const services = router.pipe(
  Layer.provideMerge(Layer.mergeAll(SimulatedTransport.layer, SimulatedOllamaApi.layer, L.StaticFleet.layer([url]))),
  Layer.provide(SimulatedFleet.layer({
    [url]: { gpus: ["24 GiB"], models: [SimulatedFleet.Model.llama31, SimulatedFleet.Model.mistral], loadTime: 1 },
  })),
  Layer.provideMerge(keys),
  Layer.provide(RateLimiter.layer.pipe(Layer.provide(L.MemoryRateLimiterStore.layer))),
)
// ApiKeyGuard asks for keys on inference, and KeyedRoutes on all other paths.
const app = Layer.merge(L.OllamaApp.layer(), L.KeyedRoutes.layer())
const server = L.WebServer.toFetch(app, services)

const ask = (path: string, key: string, body?: object): Promise<Response> =>
  server.fetch(
    new Request(`http://llamero${path}`, {
      headers: key === "" ? {} : { authorization: `Bearer ${key}` },
      ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    }),
  )
const show = async (what: string, answer: Promise<Response>) => {
  const response = await answer
  const text = await response.text()
  console.log(`${what}: ${response.status}${response.ok ? "" : ` ${text.trim()}`}`)
}
const chat = (model: string) => ({ model, max_tokens: 8, messages: [{ role: "user", content: "Hello" }] })

await show("no key", ask("/v1/chat/completions", "", chat("llama3.1:8b")))
await show("no key, a list", ask("/api/tags", ""))
await show("the shop", ask("/v1/chat/completions", "sk-web", chat("mistral:7b")))
await show("research, another model", ask("/v1/chat/completions", "sk-nightly", chat("mistral:7b")))
for (const time of ["first", "second", "third"]) {
  await show(`research, ${time} time`, ask("/v1/chat/completions", "sk-nightly", chat("llama3.1:8b")))
}
await server.dispose()
