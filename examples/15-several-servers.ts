/**
 * Several Ollama servers on one GPU, because Ollama runs one text of an embedder at a time. All is simulated.
 * `node examples/15-several-servers.ts` prints how many texts a second 1, 2 and 4 servers embed.
 */
import { Effect, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import * as L from "llamero"
import * as S from "llamero/simulated"
import { ask, elapse } from "llamero/testing"

const { embedder } = S.SimulatedFleet.Model
// As measured on an H100: 13 ms for a text of 35 tokens. Here the GPU could do five times as many.
const ollama: S.SimulatedFleet.ServerOptions = {
  models: [embedder],
  gpus: ["80 GiB"],
  gpuUuids: ["GPU-h100"],
  contextLength: 8192,
  prefillRate: 2700,
  prefillRateMax: 13500,
}

const stack = (urls: ReadonlyArray<string>) =>
  L.Standard.layer({
    // One ledger for the GPU, because all backends name it.
    ledger: L.MemoryVramLedger.layer(),
    // Loads the busy model on one server more, until each has a copy. Requests go to the least busy one.
    plans: [L.ReplicaPlan.make({ replicasMax: urls.length, hotMillis: 1000 })],
  }).pipe(
    Layer.provideMerge(Layer.mergeAll(
      L.StaticFleet.layer(urls.map((url) => ({ url, devices: ["GPU-h100"] }))),
      S.SimulatedTransport.layer,
      S.SimulatedOllamaApi.layer,
      S.SimulatedGpuProbe.layer,
      S.SimulatedModelFootprints.layer,
    )),
    Layer.provideMerge(S.SimulatedFleet.layer(Object.fromEntries(urls.map((url) => [url, ollama])))),
  )

for (const servers of [1, 2, 4]) {
  const urls = Array.from({ length: servers }, (_, i) => `http://ollama-${i + 1}:11434`)
  let texts = 0
  let answers = 0
  const client = Effect.gen(function* () {
    const input = `${++texts} `.padEnd(136, "text ")
    const { settled } = yield* ask("/api/embed", { model: embedder.name, input })
    if (settled.outcome?.kind === "success") answers++
    else yield* Effect.sleep("100 millis")
  })
  const measure = Effect.gen(function* () {
    for (let n = 0; n < 32; n++) yield* Effect.forkScoped(Effect.forever(client))
    yield* elapse(`${3 + 4 * (servers - 1)} seconds`)
    const before = answers
    yield* elapse("2 seconds")
    const { get } = yield* S.SimulatedFleet.SimulatedFleet
    const copies = urls.filter((url) => get(url).resident.length > 0).length
    console.log(`${servers} servers, ${copies} copies: ${(answers - before) / 2} texts a second`)
  })
  const layer = Layer.provideMerge(stack(urls), Layer.merge(TestClock.layer(), Logger.layer([])))
  await Effect.runPromise(Effect.scoped(Effect.provide(measure, layer, { local: true })))
}
