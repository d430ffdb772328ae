/**
 * How llamero places models on two GPUs when it manages their memory. The GPUs are simulated.
 * Run `node examples/03-two-gpus.ts`. It prints what each GPU holds, before and after another program takes memory.
 */
import { ByteSize, Effect, Layer } from "effect"
import * as L from "llamero"
import { SimulatedFleet, SimulatedOllamaApi, SimulatedTransport } from "llamero/simulated"
import { MockGpuProbe, MockModelFootprints } from "llamero/testing"

const url = (id: string) => `http://${id}:11434`
const ids = ["gpu-1", "gpu-2"]
const { embedder, llama31, mistral } = SimulatedFleet.Model
const gpu = (id: string, freeGib: number) =>
  MockGpuProbe.device(id, ByteSize.gibibytes(12), { freeBytes: ByteSize.gibibytes(freeGib) })

const simulated = SimulatedFleet.layer(
  Object.fromEntries(
    ids.map((id) => [url(id), { gpus: ["12 GiB"], models: [embedder, llama31, mistral], loadTime: 10 }]),
  ),
)
const stack = L.Standard.layer({ ledger: L.MemoryVramLedger.layer() }).pipe(
  Layer.provideMerge(Layer.mergeAll(
    L.StaticFleet.layer(ids.map((id) => ({ id, url: url(id), devices: [id] }))),
    SimulatedTransport.layer.pipe(Layer.provide(simulated)),
    SimulatedOllamaApi.layer.pipe(Layer.provide(simulated)),
    MockGpuProbe.layer(ids.map((id) => gpu(id, 12))),
    // The bytes of each model. In production LearnedModelFootprints estimates and learns them.
    MockModelFootprints.layer({ [llama31.name]: 6e9, [mistral.name]: 6e9, [embedder.name]: 2e9 }),
  )),
)
const gib = (bytes: number | undefined) => bytes === undefined ? "?" : (bytes / 2 ** 30).toFixed(1)

const main = Effect.gen(function* () {
  const ledger = yield* L.VramLedger.VramLedger
  const router = yield* L.WebServer.make(L.OllamaApp.layer())
  const ask = (path: string, body: object) =>
    Effect.promise(() =>
      router.fetch(new Request(`http://llamero${path}`, { method: "POST", body: JSON.stringify(body) }))
        .then(async (response) => `${response.status} ${(await response.text()).slice(0, 90)}`)
    )
  const show = (what: string) =>
    Effect.sync(() => {
      console.log(what)
      for (const { capacity, device, foreign, held } of ledger.devices()) {
        const models = ledger.allocations().filter((one) => one.shares().some((share) => share.device === device))
          .map((one) => `${one.model} (${one.state()})`).join(", ")
        const over = held - (capacity ?? held)
        const told = over > 0 ? `; ${gib(over)} GiB too much, so no other model fits here` : ""
        console.log(`  ${device}: ${gib(held)} of ${gib(capacity)} GiB, ${gib(foreign)} foreign: ${models}${told}`)
      }
    })
  for (const model of [llama31.name, mistral.name]) yield* ask("/api/generate", { model, prompt: "hi", stream: false })
  yield* ask("/api/embed", { model: embedder.name, input: "hi" })
  yield* show("three models, each where there was room (of 12 GiB, 2 stay free):")
  yield* (yield* MockGpuProbe.MockReadings).set([gpu("gpu-1", 6), gpu("gpu-2", 1)])
  yield* ledger.refresh
  yield* show("another program takes memory, and what it takes is not for models:")
})

await Effect.runPromise(Effect.scoped(Effect.provide(main, stack)))
