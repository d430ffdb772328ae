/**
 * What every `OllamaApi` must do.
 *
 * @since 0.1.0
 */
import { Effect, Fiber, type Layer } from "effect"
import { backend } from "../../services/Fleet.ts"
import { OllamaApi } from "../../services/OllamaApi.ts"
import { elapse } from "../elapse.ts"
import * as assert from "../assert.ts"
import { type Check, check } from "../checks.ts"

const sim = backend({ url: "http://sim:11434", id: "sim" })
const nobody = backend({ url: "http://nobody:11434", id: "nobody" })

/** `layer` has a server at `http://sim:11434` with the models `tiny-eos` (completion) and `tiny-embed` (embedding), and nobody else. @category contracts @since 0.1.0 */
export const contract = <E>(layer: Layer.Layer<OllamaApi, E>): ReadonlyArray<Check> => {
  /** The simulated server takes its time. */
  const wait = <A, Err>(effect: Effect.Effect<A, Err>) =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(effect)
      yield* elapse("30 seconds", "1 second")
      return yield* Fiber.join(fiber)
    })

  return [
    check("reads version, tags and show", () =>
      Effect.gen(function* () {
        const api = yield* OllamaApi
        assert.match(yield* wait(api.version(sim)), /^\d+\.\d+/)
        const tags = yield* wait(api.tags(sim))
        assert.deepStrictEqual(tags.map(({ model }) => model).toSorted(), ["tiny-embed:latest", "tiny-eos:latest"])
        const embedder = tags.find(({ model }) => model === "tiny-embed:latest")
        assert.deepStrictEqual(embedder?.capabilities, ["embedding"])
        assert.match(embedder?.digest ?? "", /^[0-9a-f]{64}$/)
        const show = yield* wait(api.show(sim, "tiny-eos"))
        assert.match(show.modelfile ?? "", /FROM .*sha256-[0-9a-f]{64}/)
        assert.isTrue(show.capabilities?.includes("completion") === true)
      }).pipe(Effect.provide(layer))),

    check("loads completion models and embedders, and unloads them", () =>
      Effect.gen(function* () {
        const api = yield* OllamaApi
        assert.deepStrictEqual(yield* wait(api.ps(sim)), [])
        yield* wait(api.load(sim, "tiny-eos", { embedder: false, numCtx: 2048, keepAlive: -1 }))
        yield* wait(api.load(sim, "tiny-embed", { embedder: true }))
        const rows = yield* wait(api.ps(sim))
        assert.deepStrictEqual(rows.map(({ model }) => model).toSorted(), ["tiny-embed:latest", "tiny-eos:latest"])
        const eos = rows.find(({ model }) => model === "tiny-eos:latest")
        assert.strictEqual(eos?.context_length, 2048)
        assert.isAbove(Date.parse(eos?.expires_at ?? ""), Date.parse("2200-01-01"))
        yield* wait(api.unload(sim, "tiny-eos", { embedder: false }))
        yield* wait(api.unload(sim, "tiny-embed", { embedder: true }))
        assert.deepStrictEqual(yield* wait(api.ps(sim)), [])
      }).pipe(Effect.provide(layer))),

    check("says what Ollama answered, and who did not answer", () =>
      Effect.gen(function* () {
        const api = yield* OllamaApi
        const missing = yield* Effect.flip(wait(api.show(sim, "nothing")))
        assert.strictEqual(missing.reason._tag, "Rejected")
        assert.isTrue("status" in missing.reason && missing.reason.status === 404)
        assert.match(missing.message, /^show on sim: model 'nothing.*' not found$/)
        const load = yield* Effect.flip(wait(api.load(sim, "nothing", { embedder: false })))
        assert.strictEqual(load.reason._tag, "Rejected")
        const refused = yield* Effect.flip(wait(api.version(nobody)))
        assert.strictEqual(refused.reason._tag, "Unreachable")
        assert.strictEqual(refused.backend, "nobody")
      }).pipe(Effect.provide(layer))),
  ]
}
