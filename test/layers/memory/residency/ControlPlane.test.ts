import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger } from "effect"
import * as OllamaModelCatalog from "../../../../src/layers/catalog/OllamaModelCatalog.ts"
import * as StaticFleet from "../../../../src/layers/fleet/StaticFleet.ts"
import * as PollingBackendHealth from "../../../../src/layers/health/PollingBackendHealth.ts"
import * as UnmanagedVramLedger from "../../../../src/layers/memory/ledger/UnmanagedVramLedger.ts"
import * as PlannedPrewarmer from "../../../../src/layers/memory/prewarm/PlannedPrewarmer.ts"
import * as PollingResidency from "../../../../src/layers/memory/residency/PollingResidency.ts"
import * as AtStartPlan from "../../../../src/plugins/plans/AtStartPlan.ts"
import { BackendHealth } from "../../../../src/services/BackendHealth.ts"
import { Fleet } from "../../../../src/services/Fleet.ts"
import { ModelCatalog } from "../../../../src/services/ModelCatalog.ts"
import { Prewarmer } from "../../../../src/services/Prewarmer.ts"
import { Residency } from "../../../../src/services/Residency.ts"
import * as SimulatedFleet from "../../../../src/simulated/SimulatedFleet.ts"
import * as SimulatedOllamaApi from "../../../../src/simulated/SimulatedOllamaApi.ts"
import * as SimulatedTransport from "../../../../src/simulated/SimulatedTransport.ts"
import { elapse } from "../../../../src/testing/elapse.ts"

const { Model } = SimulatedFleet
const copy = Model.alias(Model.llama31, "my-llama")
const a = "http://a:11434"
const b = "http://b:11434"

/** The whole control plane over simulated servers: `a` has room for two large models, `b` for less than one. */
const controlPlane = (prewarm: ReadonlyArray<string> = []) =>
  PlannedPrewarmer.layer({ plans: [AtStartPlan.make(prewarm)] }).pipe(
    Layer.provideMerge(PollingResidency.layer()),
    Layer.provideMerge(Layer.merge(OllamaModelCatalog.layer(), UnmanagedVramLedger.layer)),
    Layer.provideMerge(PollingBackendHealth.layer().pipe(Layer.provide(SimulatedTransport.layer))),
    Layer.provideMerge(Layer.merge(SimulatedOllamaApi.layer, Layer.orDie(StaticFleet.layer([a, b])))),
    Layer.provideMerge(SimulatedFleet.layer({
      [a]: { gpus: ["80 GiB"], models: [Model.llama31, copy, Model.embedder] },
      [b]: { gpus: ["4 GiB"], models: [Model.llama31] },
    })),
  )

describe("the control plane over simulated servers", () => {
  it.effect("prewarms, knows which models are on which backend, and finds aliases by their weights", () =>
    Effect.gen(function* () {
      yield* elapse("60 seconds", "1 second")
      const residency = yield* Residency
      const catalog = yield* ModelCatalog
      const health = yield* BackendHealth
      assert.isTrue((yield* Prewarmer).ready())
      assert.strictEqual(health.status("a:11434").state, "healthy")
      const embedder = yield* catalog.find(Model.embedder.name)
      assert.strictEqual(residency.state("a:11434", embedder), "resident")
      const llama = yield* catalog.find(Model.llama31.name)
      assert.strictEqual(llama.owners.size, 2)
      const [member] = (yield* Fleet).members()
      const load = yield* Effect.forkChild(residency.load(member!.backend, llama))
      yield* elapse("60 seconds", "1 second")
      yield* Fiber.join(load)
      assert.strictEqual(residency.state("a:11434", yield* catalog.find("my-llama")), "resident")
      assert.strictEqual(residency.state("b:11434", llama), "absent")
      const row = residency.list("a:11434").find(({ model }) => model === llama.key)
      assert.strictEqual(row?.source, "observed")
      assert.isAbove(row?.sizeVram ?? 0, 4e9)
    }).pipe(Effect.provide(controlPlane([Model.embedder.name]))))

  it.effect("reports a spill to the CPU, and a backend that dies and comes back", () => {
    const logs: Array<string> = []
    const logger = Logger.layer([Logger.make(({ message }) => void logs.push(String(message)))])
    return Effect.gen(function* () {
      yield* elapse("5 seconds")
      const residency = yield* Residency
      const health = yield* BackendHealth
      const llama = yield* (yield* ModelCatalog).find(Model.llama31.name)
      const [, member] = (yield* Fleet).members()
      residency.request(member!.backend, llama)
      yield* elapse("60 seconds", "1 second")
      assert.strictEqual(residency.state("b:11434", llama), "resident")
      assert.isTrue(logs.some((line) => line.includes("spilled")), logs.join("\n"))
      const server = (yield* SimulatedFleet.SimulatedFleet).get(b)
      server.script(SimulatedFleet.Fault.refuse, { times: 3, path: "/api/version" })
      yield* elapse("10 seconds", "1 second")
      assert.strictEqual(health.status("b:11434").state, "unhealthy")
      yield* elapse("10 seconds", "1 second")
      assert.strictEqual(health.status("b:11434").state, "healthy")
    }).pipe(Effect.provide(controlPlane()), Effect.provide(logger))
  })
})
