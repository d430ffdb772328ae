/**
 * Coalescing: identical requests share one call to the backend, and embedding inputs are sent in batches. The backend
 * is simulated.
 *
 * Run `node examples/08-coalescing.ts`. It prints how many calls the backend gets for a hundred chats and for a
 * thousand embeddings.
 */
import { Effect, Layer } from "effect"
import * as L from "llamero"
import { SimulatedFleet, SimulatedOllamaApi, SimulatedTransport } from "llamero/simulated"

const url = "http://gpu:11434"
const chat = {
  model: "tiny-eos",
  messages: [{ role: "user", content: "Why is the sky blue?" }],
  options: { temperature: 0 }, // The answer is the same every time, so all requests can share it.
}

const place = Layer.merge(SimulatedTransport.layer, SimulatedOllamaApi.layer).pipe(
  Layer.provideMerge(L.StaticFleet.layer([url])),
  Layer.provideMerge(SimulatedFleet.layer({ [url]: { overhead: "20 millis", decodeRate: 500 } })),
)
const stack = L.Standard.layer({ coalescer: L.MemoryCoalescer.layer({ batchInputs: 64 }) })

const main = Effect.gen(function* () {
  const router = yield* L.WebServer.make(L.OllamaApp.layer())
  const { calls } = (yield* SimulatedFleet.SimulatedFleet).get(url)

  const post = async (path: string, body: object): Promise<string> => {
    const request = new Request(`http://llamero${path}`, { method: "POST", body: JSON.stringify(body) })
    return (await router.fetch(request)).text()
  }
  const many = (count: number, path: string, body: (i: number) => object) =>
    Effect.gen(function* () {
      const before = calls.filter((call) => call.path === path).length
      const answers = yield* Effect.promise(() =>
        Promise.all(Array.from({ length: count }, (_, i) => post(path, body(i))))
      )
      const made = calls.filter((call) => call.path === path).length - before
      console.log(`${path}: ${count} requests, ${new Set(answers).size} different answers, ${made} upstream calls`)
    })

  // Load both models first.
  yield* Effect.promise(() => post("/api/generate", { model: "tiny-eos", prompt: "hello" }))
  yield* Effect.promise(() => post("/v1/embeddings", { model: "tiny-embed", input: "hello" }))

  yield* many(100, "/api/chat", () => chat)
  // These are sampled, so each request needs an answer of its own.
  yield* many(100, "/api/chat", () => ({ ...chat, options: { num_predict: 1 } }))
  yield* many(1000, "/api/embed", (i) => ({ model: "tiny-embed", input: `text ${i}` }))
})

await Effect.runPromise(Effect.scoped(main.pipe(Effect.provide(stack.pipe(Layer.provideMerge(place))))))
