/**
 * Gives models other names, and lists of models to fall back on.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import { Leases } from "../../services/Leases.ts"
import * as Live from "../../services/Live.ts"
import { type Model, ModelCatalog } from "../../services/ModelCatalog.ts"
import * as ModelName from "../../services/ModelName.ts"
import type { Guard } from "../../services/Plugin.ts"

/** Names with the models that each stands for, the first choice first. @category models @since 0.1.0 */
export type Aliases = Readonly<Record<string, string | ReadonlyArray<string>>>

const chainsOf = (aliases: Aliases): ReadonlyMap<string, ReadonlyArray<string>> => {
  const chains = new Map(
    Object.entries(aliases).map(([name, to]) => [ModelName.canonical(name), typeof to === "string" ? [to] : to]),
  )
  for (const [name, chain] of chains) {
    if (chain.length === 0 || chain.includes("")) throw new RangeError(`AliasGuard.make: ${name} stands for no model`)
  }
  return chains
}

/**
 * Replaces a name that clients ask for by a model, or by the first one of several that a healthy backend has.
 *
 * **Details**
 *
 * A list may begin with its own name: `{ "llama3.1:70b": ["llama3.1:70b", "llama3.1:8b"] }`. Where no backend of any of
 * the models is healthy, the first model that some backend has is taken. Where no backend has any of them, the request
 * stays as it is, and is answered with 404 for the name that the client used. The model is chosen once, when the
 * request comes in.
 *
 * In the body only the name of the model is replaced. The answer is not changed, so it names the model that gave it;
 * `X-Llamero-Model` says the same in a header. Names match as in Ollama: `GPT-4o` is `gpt-4o:latest`.
 *
 * Aliases that change while the router runs (`Live`) count for requests that come in after the change.
 *
 * Throws a `RangeError` for a name without a model.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (aliases: Live.Input<Aliases>): Effect.Effect<Guard, never, Leases | ModelCatalog> => {
  const live = Live.map(Live.of(aliases), chainsOf)
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
        const chains = live.now
        const chain = chains.size === 0 || asked === "" ? undefined : chains.get(ModelName.canonical(asked))
        const model = chain === undefined ? undefined : choose(chain)
        if (model === undefined || model === asked) return { _tag: "Pass", request }
        return { _tag: "Pass", request, rewrite: { model } }
      },
    }
  })
}
