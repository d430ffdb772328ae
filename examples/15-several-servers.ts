/**
 * Several Ollama servers on one GPU, because Ollama runs one text of an embedder at a time. The GPU and the servers are
 * simulated, in virtual time.
 *
 * Run `node examples/15-several-servers.ts`. It prints how many texts a second 1, 2 and 4 servers embed, and how much
 * memory of the GPU they hold.
 */
import { Effect, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import * as L from "llamero"
import * as S from "llamero/simulated"
import { ask, elapse } from "llamero/testing"

const gpu = "GPU-h100"
const { embedder } = S.SimulatedFleet.Model
// As measured on an H100: 13 ms for a text of 35 tokens. Here the GPU could do five times as many.
const ollama: S.SimulatedFleet.ServerOptions = {
  models: [embedder],
  gpus: ["80 GiB"],
  gpuUuids: [gpu],
  contextLength: 8192,
  overhead: "1 milli",
  loadTime: "1 second",
  prefillRate: 2700,
  prefillRateMax: 13500,
}
const urls = (servers: number) => Array.from({ length: servers }, (_, i) => `http://ollama-${i + 1}:11434`)

/** Only the figures are printed. */
const quiet = Logger.layer([])

const stack = (servers: number) =>
  L.Standard.layer({
    // One ledger for the GPU, because all backends name it.
    ledger: L.MemoryVramLedger.layer(),
    // Loads the busy model on one server more, until each has a copy. Requests go to the least busy one.
    plans: [L.ReplicaPlan.make({ replicasMax: servers, hotMillis: 1000 })],
  }).pipe(
    Layer.provideMerge(Layer.mergeAll(
      L.StaticFleet.layer(urls(servers).map((url) => ({ url, devices: [gpu] }))),
      S.SimulatedTransport.layer,
      S.SimulatedOllamaApi.layer,
      S.SimulatedGpuProbe.layer,
      S.SimulatedModelFootprints.layer,
    )),
    Layer.provideMerge(S.SimulatedFleet.layer(Object.fromEntries(urls(servers).map((url) => [url, ollama])))),
  )

const measure = (servers: number) =>
  Effect.gen(function* () {
    let answers = 0
    const client = (n: number) =>
      Effect.gen(function* () {
        for (let i = 0;; i++) {
          const input = `${String(n).padStart(4, "0")} ${String(i).padStart(6, "0")} `.padEnd(136, "text ")
          const { settled } = yield* ask("/api/embed", { model: embedder.name, input })
          if (settled.outcome?.kind === "success") answers++
          else yield* Effect.sleep("100 millis")
        }
      })
    for (let n = 0; n < 32; n++) yield* Effect.forkScoped(client(n))
    // Time for the first load and for the copies.
    yield* elapse(`${3 + 4 * (servers - 1)} seconds`)
    const before = answers
    yield* elapse("4 seconds")
    const { get } = yield* S.SimulatedFleet.SimulatedFleet
    const [card] = get(urls(1)[0]!).gpus
    const copies = urls(servers).filter((url) => get(url).resident.length > 0).length
    const held = (card!.used / 2 ** 30).toFixed(1)
    console.log(
      `${servers} servers, ${copies} copies, ${held} GiB: ${Math.round((answers - before) / 4)} texts a second`,
    )
  }).pipe(Effect.provide(stack(servers), { local: true }), Effect.scoped, Effect.provide([TestClock.layer(), quiet]))

for (const servers of [1, 2, 4]) await Effect.runPromise(measure(servers))
