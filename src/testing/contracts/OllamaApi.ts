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
import { tracked } from "../outstanding.ts"

const sim = backend({ url: "http://sim:11434", id: "sim" })
const nobody = backend({ url: "http://nobody:11434", id: "nobody" })

/** The simulated server takes test time for its answers. */
const wait = <A, E>(name: string, effect: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(tracked(name, effect))
    yield* elapse("30 seconds", "1 second")
    return yield* Fiber.join(fiber)
  })

/**
 * `layer` has a server at `http://sim:11434` with the models `tiny-eos` (completion) and `tiny-embed` (embedding),
 * and no other server.
 *
 * @category contracts
 * @since 0.1.0
 */
export const contract = <E>(layer: Layer.Layer<OllamaApi, E>): ReadonlyArray<Check> => {
  return [
    check("reads version, tags and show", () =>
      Effect.gen(function* () {
        const api = yield* OllamaApi
        assert.match(yield* wait("version on sim", api.version(sim)), /^\d+\.\d+/)
        const tags = yield* wait("tags on sim", api.tags(sim))
        assert.deepStrictEqual(tags.map(({ model }) => model).toSorted(), ["tiny-embed:latest", "tiny-eos:latest"])
        const embedder = tags.find(({ model }) => model === "tiny-embed:latest")
        assert.deepStrictEqual(embedder?.capabilities, ["embedding"])
        assert.match(embedder?.digest ?? "", /^[0-9a-f]{64}$/)
        const show = yield* wait("show of tiny-eos on sim", api.show(sim, "tiny-eos"))
        assert.match(show.modelfile ?? "", /FROM .*sha256-[0-9a-f]{64}/)
        assert.isTrue(show.capabilities?.includes("completion") === true)
        const vocabulary = "tokenizer.ggml.tokens"
        assert.isTrue((show.model_info?.[vocabulary] ?? null) === null)
        const whole = yield* wait("show of tiny-eos on sim", api.show(sim, "tiny-eos", { verbose: true }))
        assert.isTrue(Array.isArray(whole.model_info?.[vocabulary]) && (whole.tensors ?? []).length > 0)
      }).pipe(Effect.provide(layer))),

    check("loads completion models and embedders, and unloads them", () =>
      Effect.gen(function* () {
        const api = yield* OllamaApi
        assert.deepStrictEqual(yield* wait("ps on sim", api.ps(sim)), [])
        yield* wait(
          "load of tiny-eos on sim",
          api.load(sim, "tiny-eos", { embedder: false, numCtx: 2048, keepAlive: -1 }),
        )
        yield* wait("load of tiny-embed on sim", api.load(sim, "tiny-embed", { embedder: true }))
        const rows = yield* wait("ps on sim", api.ps(sim))
        assert.deepStrictEqual(rows.map(({ model }) => model).toSorted(), ["tiny-embed:latest", "tiny-eos:latest"])
        const eos = rows.find(({ model }) => model === "tiny-eos:latest")
        assert.strictEqual(eos?.context_length, 2048)
        assert.isAbove(Date.parse(eos?.expires_at ?? ""), Date.parse("2200-01-01"))
        yield* wait("unload of tiny-eos on sim", api.unload(sim, "tiny-eos", { embedder: false }))
        yield* wait("unload of tiny-embed on sim", api.unload(sim, "tiny-embed", { embedder: true }))
        assert.deepStrictEqual(yield* wait("ps on sim", api.ps(sim)), [])
      }).pipe(Effect.provide(layer))),

    check("says what Ollama answered, and which backend did not answer", () =>
      Effect.gen(function* () {
        const api = yield* OllamaApi
        const missing = yield* Effect.flip(wait("show of nothing on sim", api.show(sim, "nothing")))
        assert.strictEqual(missing.reason._tag, "Rejected")
        assert.isTrue("status" in missing.reason && missing.reason.status === 404)
        assert.match(missing.message, /^show on sim: model 'nothing.*' not found$/)
        const load = yield* Effect.flip(wait("load of nothing on sim", api.load(sim, "nothing", { embedder: false })))
        assert.strictEqual(load.reason._tag, "Rejected")
        const refused = yield* Effect.flip(wait("version on nobody", api.version(nobody)))
        assert.strictEqual(refused.reason._tag, "Unreachable")
        assert.strictEqual(refused.backend, "nobody")
      }).pipe(Effect.provide(layer))),
  ]
}
