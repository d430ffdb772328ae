/**
 * Other names for models, and chains of models to fall back on.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import { Leases } from "../../services/Leases.ts"
import { type Model, ModelCatalog } from "../../services/ModelCatalog.ts"
import * as ModelName from "../../services/ModelName.ts"
import type { Guard } from "../../services/Plugin.ts"

/**
 * For a name that clients ask for, the model that answers, or several in order: the first that some healthy backend has.
 *
 * **Details**
 *
 * A chain may begin with its own name: `{ "llama3.1:70b": ["llama3.1:70b", "llama3.1:8b"] }`. Where no backend of any is healthy it is the first that is known;
 * where none is known, the request stays as it is, and a model of the client's own name is missed. Chosen once, when the request comes in.
 *
 * The model's name in the body is replaced, and nothing else. The answer names the model that gave it, since not a byte of an answer is changed;
 * `X-Llamero-Model` says the same ahead of it. Names match as Ollama's do: `GPT-4o` is `gpt-4o:latest`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  aliases: Readonly<Record<string, string | ReadonlyArray<string>>>,
): Effect.Effect<Guard, never, Leases | ModelCatalog> => {
  const chains = new Map(
    Object.entries(aliases).map(([name, to]) => [ModelName.canonical(name), typeof to === "string" ? [to] : to]),
  )
  for (const [name, chain] of chains) {
    if (chain.length === 0 || chain.includes("")) throw new RangeError(`AliasGuard.make: ${name} stands for no model`)
  }
  return Effect.gen(function* () {
    const catalog = yield* ModelCatalog
    const { view } = yield* Leases
    const isServed = (model: Model): boolean =>
      view.owners(model).some((backend) =>
        backend.member === "active" && backend.health !== "unhealthy" && backend.breaker(model) !== "open"
      )
    const choose = (chain: ReadonlyArray<string>): string | undefined => {
      let known: string | undefined
      for (const name of chain) {
        const model = catalog.peek(name)
        if (model === undefined) continue
        if (isServed(model)) return name
        known ??= name
      }
      return known
    }
    return {
      kind: "guard",
      name: "alias",
      check: (request) => {
        const asked = request.envelope.model
        const chain = chains.size === 0 || asked === "" ? undefined : chains.get(ModelName.canonical(asked))
        const model = chain === undefined ? undefined : choose(chain)
        if (model === undefined || model === asked) return { _tag: "Pass", request }
        return { _tag: "Pass", request, rewrite: { model } }
      },
    }
  })
}
