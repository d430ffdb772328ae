/**
 * One name for several models: if no healthy backend has the first model, the next one answers. The GPUs are simulated.
 *
 * Run `node examples/07-fallback-chain.ts`. It prints which model answers each request.
 */
import { Effect, Layer } from "effect"
import * as L from "llamero"
import { SimulatedFleet, SimulatedOllamaApi, SimulatedTransport } from "llamero/simulated"

const { Model } = SimulatedFleet
const [big, small] = ["http://big:11434", "http://small:11434"]

const router = L.Standard.layer({
  guards: [
    // Clients of OpenAI ask for these names. The first model in the list that a healthy backend has answers.
    L.AliasGuard.make({ "gpt-4o": ["llama3.1:70b", "llama3.1:8b", "mistral:7b"], "gpt-4o-mini": "mistral:7b" }),
    // A prompt that is too long for Mistral goes to Llama.
    L.ContextGuard.make({ siblings: { "mistral:7b": ["llama3.1:8b"] } }),
  ],
})
const services = router.pipe(
  Layer.provideMerge(Layer.mergeAll(SimulatedTransport.layer, SimulatedOllamaApi.layer)),
  Layer.provideMerge(L.StaticFleet.layer([{ id: "big", url: big }, { id: "small", url: small }])),
  Layer.provide(SimulatedFleet.layer({
    [big]: { gpus: ["80 GiB"], models: [Model.llama31], contextLength: 131_072, loadTime: 1 },
    [small]: { gpus: ["24 GiB"], models: [Model.mistral], contextLength: 32_768, loadTime: 1 },
  })),
)

/** Lets this program isolate a backend, as an operator would. */
const stop = L.Fleet.Fleet.use((fleet) => fleet.setState("big", "isolated"))
const operator = Layer.effectDiscard(Effect.gen(function* () {
  const context = yield* Effect.context<L.Fleet.Fleet>()
  stopBig = () => Effect.runPromise(Effect.provideContext(stop, context))
}))
let stopBig: () => Promise<void> = () => Promise.resolve()
const server = L.WebServer.toFetch(L.OllamaApp.layer(), Layer.provideMerge(operator, services))

const ask = async (what: string, model: string, content: string) => {
  const body = JSON.stringify({ model, max_tokens: 8, messages: [{ role: "user", content }] })
  const answer = await server.fetch(new Request("http://llamero/v1/chat/completions", { method: "POST", body }))
  const text = await answer.text()
  console.log(`${what}: ${answer.status}, ${model} is ${answer.headers.get("x-llamero-model") ?? model}`)
  if (!answer.ok) console.log(text)
}

await ask("both are up", "gpt-4o", "Hello")
await ask("short", "gpt-4o-mini", "Hello")
await ask("long", "gpt-4o-mini", "word ".repeat(40_000))
await stopBig()
await ask("the big one is out", "gpt-4o", "Hello")
await server.dispose()
