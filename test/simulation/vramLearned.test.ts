/**
 * The ledger with footprints that are first estimated and then learned, over servers whose models take 8 % more than
 * estimated, or 5 % less.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Random, Schema } from "effect"
import { estimate, overheadBytes } from "../../src/layers/memory/footprint/estimate.ts"
import { fromShow } from "../../src/layers/memory/footprint/geometry.ts"
import * as LearnedModelFootprints from "../../src/layers/memory/footprint/LearnedModelFootprints.ts"
import * as MemoryVramLedger from "../../src/layers/memory/ledger/MemoryVramLedger.ts"
import { Fleet } from "../../src/services/Fleet.ts"
import { shape } from "../../src/services/Footprint.ts"
import { ModelCatalog } from "../../src/services/ModelCatalog.ts"
import { ShowModel } from "../../src/services/OllamaApi.ts"
import { Residency } from "../../src/services/Residency.ts"
import { VramLedger } from "../../src/services/VramLedger.ts"
import { footprint } from "../../src/simulated/scheduler/gpuMemory.ts"
import { runnerOptions } from "../../src/simulated/scheduler/options.ts"
import { modelInfo, tensors } from "../../src/simulated/models/show.ts"
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"
import { elapse } from "../../src/testing/elapse.ts"
import { overManaged } from "../support/managed.ts"
import { ask, url } from "../support/routers.ts"

const { a100, Model } = SimulatedFleet
const mebibyte = 1024 ** 2
const reserve = 2 * 1024 * mebibyte
const context = 8192
const parallelism = 2
/** In GB. Two of the larger ones do not fit on the card together. */
const sizes = { "w:latest": 17, "x:latest": 14, "y:latest": 8, "z:latest": 5 }
const names = Object.keys(sizes)

const llama = {
  blocks: 32,
  heads: 32,
  kvHeads: 8,
  embeddingLength: 4096,
  feedForward: 14_336,
  vocabulary: 128_256,
  contextTrained: 131_072,
  // The type of the token embedding too, which stays in system memory.
  quantization: "Q4_K_M",
  tokenizer: "chars4",
} as const

const bytesOf = (model: typeof Model.llama31): number =>
  footprint(model, runnerOptions(model, {}, true, context), parallelism)

/** A model that takes `factor` times its estimated memory. */
const made = (name: string, gigabytes: number, factor: number) => {
  const bare = Model.model({ ...llama, name, size: gigabytes * 1e9, overhead: 0 })
  const show = { model_info: modelInfo(bare, false), tensors: tensors(bare), capabilities: bare.capabilities }
  const geometry = fromShow(Schema.decodeUnknownSync(ShowModel)(show))
  assert(geometry !== undefined)
  const estimated = estimate(geometry, shape({ context, parallelism }), bare.size).reserve
  const overhead = Math.round(estimated * factor - bytesOf(bare))
  assert.isAbove(overhead, 0)
  return { estimated, model: { ...bare, overhead } }
}

for (const factor of [1.08, 0.95]) {
  const models = Object.entries(sizes).map(([name, size]) => made(name, size, factor))
  const server = { ...a100, gpus: ["32 GiB"], contextLength: context, parallelism, maxLoaded: 16 } as const
  const ledger = MemoryVramLedger.layer().pipe(Layer.provide(LearnedModelFootprints.layer()))
  const stack = overManaged({ a: { ...server, models: models.map(({ model }) => model) } }, { ledger })

  describe(`models that take ${factor} times the estimate`, () => {
    it.effect(
      "never take more than the card has, and are charged what they take after their first load",
      () =>
        Effect.gen(function* () {
          const [ledger, residency] = [yield* VramLedger, yield* Residency]
          const on = (yield* Fleet).members()[0]!.backend
          const simulated = (yield* SimulatedFleet.SimulatedFleet).get(url("a"))
          const gpu = simulated.gpus[0]!
          yield* elapse("10 seconds")
          const { peek } = yield* ModelCatalog
          const needs = (name: string) => ledger.needs(on, peek(name)!)
          for (const [index, name] of names.entries()) assert.strictEqual(needs(name), models[index]?.estimated)

          const loaded = new Set<string>()
          const look = () => {
            assert.deepStrictEqual(residency.spills("a"), [])
            // The reserve covers what the first load of each model takes above its estimate.
            const first = loaded.size < names.length ? 0.08 * models[0]!.estimated : 0
            assert.isAtMost(gpu.used, gpu.total - reserve + first + 1)
            const states = residency.list("a")
            if (states.every(({ source, state }) => state === "resident" && source === "observed")) {
              assert.isAtLeast(ledger.devices()[0]!.held, simulated.resident.reduce((sum, { vram }) => sum + vram, 0))
            }
          }
          for (let request = 0; request < 24; request++) {
            const index = Math.floor(names.length * (yield* Random.next))
            const name = names[index]!
            const answer = yield* Effect.forkChild(ask("/api/generate", { model: name, prompt: "hi", stream: false }))
            for (let second = 0; second < 40; second++) {
              yield* elapse("1 second")
              look()
            }
            assert.isDefined(answer.pollUnsafe(), name)
            loaded.add(name)
            const real = bytesOf(models[index]!.model)
            const charged = needs(name) ?? NaN
            assert.isAtLeast(charged, real)
            assert.isAtMost(charged, 1.02 * (real + overheadBytes) + 1)
          }
          assert.strictEqual(loaded.size, names.length)
          assert.isAbove(simulated.counts.unloads, 5)
        }).pipe(Effect.provide(stack), Random.withSeed(`learned-${factor}`)),
      120_000,
    )
  })
}
