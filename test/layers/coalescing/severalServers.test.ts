/** Several simulated Ollama servers on one simulated GPU: how an embedder scales. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import * as StaticFleet from "../../../src/layers/fleet/StaticFleet.ts"
import * as MemoryVramLedger from "../../../src/layers/memory/ledger/MemoryVramLedger.ts"
import * as Standard from "../../../src/layers/Standard.ts"
import * as ReplicaPlan from "../../../src/plugins/plans/ReplicaPlan.ts"
import { VramLedger } from "../../../src/services/VramLedger.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import * as SimulatedGpuProbe from "../../../src/simulated/SimulatedGpuProbe.ts"
import * as SimulatedModelFootprints from "../../../src/simulated/SimulatedModelFootprints.ts"
import * as SimulatedOllamaApi from "../../../src/simulated/SimulatedOllamaApi.ts"
import * as SimulatedTransport from "../../../src/simulated/SimulatedTransport.ts"
import { elapse } from "../../../src/testing/elapse.ts"
import { ask } from "../../support/routers.ts"

const gpu = "GPU-1"
const { embedder } = SimulatedFleet.Model
const urls = (servers: number) => Array.from({ length: servers }, (_, i) => `http://ollama-${i + 1}:11434`)

/** As on an H100: 13 ms for a text of 35 tokens, one text at a time. The GPU can do `times` as many. */
const ollama = (times: number): SimulatedFleet.ServerOptions => ({
  models: [embedder],
  gpus: ["80 GiB"],
  gpuUuids: [gpu],
  contextLength: 8192,
  overhead: "1 milli",
  loadTime: "1 second",
  prefillRate: 2700,
  prefillRateMax: times * 2700,
})

const world = (servers: number, times: number) =>
  Standard.layer({
    ledger: MemoryVramLedger.layer(),
    plans: [ReplicaPlan.make({ replicasMax: servers, hotMillis: 1000 })],
  }).pipe(
    Layer.provideMerge(Layer.mergeAll(
      StaticFleet.layer(urls(servers).map((url) => ({ url, devices: [gpu] }))),
      SimulatedTransport.layer,
      SimulatedOllamaApi.layer,
      SimulatedGpuProbe.layer,
      SimulatedModelFootprints.layer,
    )),
    Layer.provideMerge(SimulatedFleet.layer(Object.fromEntries(urls(servers).map((url) => [url, ollama(times)])))),
  )

/** Texts a second, once each server has a copy of the model. */
const measure = (servers: number, times: number) =>
  Effect.gen(function* () {
    const { get } = yield* SimulatedFleet.SimulatedFleet
    const ledger = yield* VramLedger
    const context = yield* Effect.context<Effect.Services<ReturnType<typeof ask>>>()
    let answers = 0
    const client = (n: number) =>
      Effect.gen(function* () {
        for (let i = 0;; i++) {
          const input = `${n} ${i} `.padEnd(136, "text ")
          const { settled } = yield* ask("/api/embed", { model: embedder.name, input })
          if (settled.outcome?.kind === "success") answers++
          else yield* Effect.sleep("100 millis")
        }
      })
    for (let n = 0; n < 24; n++) yield* Effect.forkScoped(Effect.provide(client(n), context))
    const copies = () => urls(servers).filter((url) => get(url).resident.length > 0).length
    for (let second = 0; second < 40 && copies() < servers; second++) yield* elapse("1 second")
    assert.strictEqual(copies(), servers)
    yield* elapse("2 seconds")
    const before = answers
    yield* elapse("2 seconds")
    const perSecond = (answers - before) / 2
    // One ledger charges all copies to the one card, and never more than there is.
    const [device] = ledger.devices()
    assert.lengthOf(ledger.devices(), 1)
    assert.lengthOf(ledger.allocations(), servers)
    assert.isAtMost(device!.held, device!.capacity ?? 0)
    assert.isAtLeast(device!.held, get(urls(1)[0]!).gpus[0]!.used)
    return perSecond
  }).pipe(Effect.provide([world(servers, times), Logger.layer([])], { local: true }), Effect.scoped, Effect.orDie)

describe("several servers on one GPU", () => {
  it.effect(
    "embed as many times the texts as there are servers, until the GPU is the limit",
    () =>
      Effect.gen(function* () {
        const one = yield* measure(1, 5)
        assert.approximately(one, 73, 4)
        for (const servers of [2, 4]) assert.isAtLeast(yield* measure(servers, 5), 0.9 * servers * one)
        const limited = yield* measure(4, 2)
        assert.isAtLeast(limited, 1.6 * one)
        assert.isAtMost(limited, 2.2 * one)
      }),
    180_000,
  )
})
