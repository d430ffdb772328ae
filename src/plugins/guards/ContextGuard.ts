/**
 * Refuses prompts that do not fit the model's context, which Ollama would cut without a word.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import { type Model, ModelCatalog } from "../../services/ModelCatalog.ts"
import * as ModelName from "../../services/ModelName.ts"
import type { Guard, Verdict } from "../../services/Plugin.ts"
import { type Refusal, refuse } from "../../services/Refusal.ts"
import { Residency } from "../../services/Residency.ts"
import type { RoutedRequest } from "../../services/RoutedRequest.ts"
import { TokenEstimator } from "../../services/TokenEstimator.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Share of the context that is kept for the answer. Defaults to `0.08`: of 8,192 tokens 7,536 are for the prompt. */
  readonly headroom?: number | undefined
  /**
   * What a prompt is judged by. `certain`: only what is too long for any tokeniser is refused. `likely`: whatever is too long by the estimate, which refuses
   * more of what would be cut, and now and then what would not. Defaults to `certain`.
   */
  readonly judge?: "certain" | "likely" | undefined
  /**
   * Contexts to go to before refusing, as in the router's `clientOptions.contextTiers`. For the native dialect only: `/v1` cannot reach them. Defaults to none.
   */
  readonly contextTiers?: ReadonlyArray<number> | undefined
  /** For a model, others with a larger context to go to before refusing, in this order. The client is told in `X-Llamero-Model`. Defaults to none. */
  readonly siblings?: Readonly<Record<string, ReadonlyArray<string>>> | undefined
}

/**
 * **Details**
 *
 * The estimate costs nothing and lets most requests pass. What it finds too long is read once more for the fewest tokens that it can be, so that the error of
 * an estimate refuses nobody. The context is the largest that an owner of the model has it loaded with, or would load it with; where that is not known, what the model was
 * trained with; a larger `num_ctx` in the request counts instead.
 *
 * **Gotchas**
 *
 * Embeddings are not judged: each text of a list has the context to itself. A `num_ctx` in a model file is not known before the model was loaded once.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options?: Options,
): Effect.Effect<Guard, never, ModelCatalog | Residency | TokenEstimator> => {
  const headroom = options?.headroom ?? 0.08
  if (!(headroom >= 0 && headroom < 1)) {
    throw new RangeError(`ContextGuard.make: headroom must be at least 0 and below 1, got ${headroom}`)
  }
  const tiers = (options?.contextTiers ?? []).toSorted((a, b) => a - b)
  const siblings = new Map(
    Object.entries(options?.siblings ?? {}).map(([name, others]) => [ModelName.canonical(name), others]),
  )
  const certain = (options?.judge ?? "certain") === "certain"
  const forPrompt = (context: number): number => Math.floor(context * (1 - headroom))

  return Effect.gen(function* () {
    const catalog = yield* ModelCatalog
    const residency = yield* Residency
    const tokens = yield* TokenEstimator

    /** The longest that any owner offers; `undefined` where nobody can say. */
    const contextOf = (model: Model): number | undefined => {
      let most = 0
      for (const id of model.owners.keys()) {
        const context = residency.context(id, model) ?? model.contextTrained
        if (context === undefined) return undefined
        most = Math.max(most, context)
      }
      return most === 0 ? undefined : most
    }
    const estimateOf = (model: Model, { envelope }: RoutedRequest): number =>
      tokens.estimate(model.key, envelope.promptBytes, envelope.images)

    const tierFor = (request: RoutedRequest, model: Model, estimate: number): number | undefined =>
      request.endpoint.dialect === "native" || request.endpoint.dialect === "generate-v1"
        ? tiers.find((tier) => forPrompt(tier) >= estimate && tier <= (model.contextTrained ?? Infinity))
        : undefined

    const siblingFor = (request: RoutedRequest, model: Model): string | undefined =>
      siblings.get(model.key)?.find((name) => {
        const other = catalog.peek(name)
        if (other === undefined) return false
        const context = contextOf(other)
        return context !== undefined && estimateOf(other, request) <= forPrompt(context)
      })

    const larger = (request: RoutedRequest, model: Model, estimate: number): Verdict | undefined => {
      const numCtx = tierFor(request, model, estimate)
      if (numCtx !== undefined) return { _tag: "Pass", request, rewrite: { numCtx } }
      const sibling = siblingFor(request, model)
      if (sibling === undefined) return undefined
      // The new model's own context is what counts from here on, not what was asked of the other.
      return {
        _tag: "Pass",
        request,
        rewrite: { model: sibling, ...(request.envelope.numCtx === undefined ? {} : { numCtx: null }) },
      }
    }

    const check = (request: RoutedRequest): Verdict => {
      const pass: Verdict = { _tag: "Pass", request }
      const { envelope, endpoint } = request
      if (endpoint.kind === "embed" || endpoint.kind === "transcribe") return pass
      const model = catalog.peek(envelope.model)
      if (model === undefined || model.remote) return pass
      const offered = contextOf(model)
      if (offered === undefined) return pass
      const context = Math.min(Math.max(offered, envelope.numCtx ?? 0), model.contextTrained ?? Infinity)
      const limit = forPrompt(context)
      const estimate = estimateOf(model, request)
      if (estimate <= limit || (certain && tokens.atLeast(request) <= limit)) return pass
      return larger(request, model, estimate) ?? tooLong(model, estimate, context, limit)
    }
    return { kind: "guard", name: "context", check }
  })
}

const tooLong = (model: Model, estimate: number, context: number, limit: number): Refusal =>
  refuse(
    "BadRequest",
    `the prompt is too long: about ${estimate} tokens, and ${model.key} takes ${limit} here (a context of ${context} tokens, less what is kept for the answer)`,
  )
