import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { backend } from "../../src/services/Fleet.ts"
import { OllamaApi } from "../../src/services/OllamaApi.ts"
import { Fault, Model, type ServerOptions } from "../../src/simulated/SimulatedFleet.ts"
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"
import * as SimulatedOllamaApi from "../../src/simulated/SimulatedOllamaApi.ts"
import { server, url } from "./support.ts"

const layer = (options: ServerOptions = {}) =>
  SimulatedOllamaApi.layer.pipe(Layer.provideMerge(SimulatedFleet.layer({ [url]: options })))

const it1 = backend(url)

describe("SimulatedOllamaApi", () => {
  it.effect("reads the server's answers", () =>
    Effect.gen(function* () {
      const api = yield* OllamaApi
      assert.strictEqual(yield* api.version(it1), "0.33.0-rc2")
      assert.lengthOf(yield* api.tags(it1), 4)
      assert.lengthOf(yield* api.ps(it1), 0)
      yield* api.load(it1, "tiny-eos", { embedder: false, keepAlive: -1, numCtx: 1024 })
      yield* api.load(it1, "tiny-embed", { embedder: true })
      const rows = yield* api.ps(it1)
      assert.deepStrictEqual(rows.map(({ name, context_length }) => [name, context_length]), [
        ["tiny-eos:latest", 1024],
        ["tiny-embed:latest", 512],
      ])
      yield* api.unload(it1, "tiny-embed", { embedder: true })
      assert.lengthOf(yield* api.ps(it1), 1)
      assert.include((yield* api.show(it1, "tiny-eos")).modelfile, Model.tinyEos.blob)
    }).pipe(Effect.provide(layer())))

  it.effect("says why a call failed", () =>
    Effect.gen(function* () {
      const api = yield* OllamaApi
      const missing = yield* Effect.flip(api.show(it1, "nope"))
      assert.deepInclude(missing.reason, {
        _tag: "Rejected",
        status: 404,
        description: "model 'nope:latest' not found",
      })
      const simulated = yield* server
      simulated.script(Fault.answer(), { times: 1 })
      assert.strictEqual((yield* Effect.flip(api.version(it1))).reason._tag, "Malformed")
      simulated.down()
      assert.strictEqual((yield* Effect.flip(api.ps(it1))).reason._tag, "Unreachable")
      assert.strictEqual((yield* Effect.flip(api.ps(backend("http://elsewhere")))).reason._tag, "Unreachable")
    }).pipe(Effect.provide(layer())))

  it.effect("ends a load by interruption", () =>
    Effect.gen(function* () {
      const api = yield* OllamaApi
      const load = api.load(it1, "tiny-eos", { embedder: false })
      const fiber = yield* Effect.forkChild(load, { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual((yield* server).counts, { loads: 1, unloads: 0, loadsKilled: 1, reloads: 0 })
    }).pipe(Effect.provide(layer({ loadTime: "4 seconds" }))))
})
