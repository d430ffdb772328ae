/**
 * Refuses prompts that do not fit into the context of their model. Ollama would cut them silently.
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
  /**
   * The share of the context that is kept for the answer, at least 0 and below 1. Defaults to `0.08`: of 8,192 tokens
   * 7,536 are for the prompt.
   */
  readonly headroom?: number | undefined
  /**
   * Which prompts count as too long.
   *
   * - `certain`: prompts that are too long for any tokeniser. No prompt that fits is refused.
   * - `likely`: prompts that are too long by the estimate. More of the prompts that Ollama would cut are refused, and
   *   now and then one that fits.
   *
   * Defaults to `certain`.
   */
  readonly judge?: "certain" | "likely" | undefined
  /**
   * Larger contexts to try before a prompt is refused, as in the router's `clientOptions.contextTiers`. Only for
   * Ollama's native API: requests to `/v1` cannot choose a context. Defaults to none.
   */
  readonly contextTiers?: ReadonlyArray<number> | undefined
  /**
   * For a model, other models with a larger context to try before a prompt is refused, in this order. The client is
   * told in `X-Llamero-Model`. Defaults to none.
   */
  readonly siblings?: Readonly<Record<string, ReadonlyArray<string>>> | undefined
}

/** How the JSON of `true` begins. */
const letterT = 0x74

/** Options with their defaults applied. */
interface Rules {
  readonly isCertain: boolean
  /** Ascending. */
  readonly tiers: ReadonlyArray<number>
  readonly siblings: ReadonlyMap<string, ReadonlyArray<string>>
  /** Tokens of a context that are for the prompt. */
  readonly forPrompt: (context: number) => number
}

const rulesOf = ({ contextTiers = [], headroom = 0.08, judge = "certain", siblings = {} }: Options): Rules => {
  if (!(headroom >= 0 && headroom < 1)) {
    throw new RangeError(`ContextGuard.make: headroom must be at least 0 and below 1, got ${headroom}`)
  }
  return {
    isCertain: judge === "certain",
    tiers: contextTiers.toSorted((a, b) => a - b),
    siblings: new Map(Object.entries(siblings).map(([name, others]) => [ModelName.canonical(name), others])),
    forPrompt: (context) => Math.floor(context * (1 - headroom)),
  }
}

interface Services {
  readonly catalog: ModelCatalog["Service"]
  readonly residency: Residency["Service"]
  readonly tokens: TokenEstimator["Service"]
}

/** The largest context that an owner of the model offers; `undefined` where that of an owner is not known. */
const contextOf = ({ residency }: Services, model: Model): number | undefined => {
  let most = 0
  for (const id of model.owners.keys()) {
    const context = residency.context(id, model) ?? model.contextTrained
    if (context === undefined) return undefined
    most = Math.max(most, context)
  }
  return most === 0 ? undefined : most
}

const estimateOf = ({ tokens }: Services, model: Model, { envelope }: RoutedRequest): number =>
  tokens.estimate(model.key, envelope.promptBytes, envelope.images)

/** The smallest tier that the prompt fits into. */
const tierFor = (
  { forPrompt, tiers }: Rules,
  { endpoint }: RoutedRequest,
  model: Model,
  estimate: number,
): number | undefined =>
  endpoint.dialect === "native" || endpoint.dialect === "generate-v1"
    ? tiers.find((tier) => forPrompt(tier) >= estimate && tier <= (model.contextTrained ?? Infinity))
    : undefined

/** The first sibling whose context the prompt fits into. */
const siblingFor = (services: Services, rules: Rules, request: RoutedRequest, model: Model): string | undefined =>
  rules.siblings.get(model.key)?.find((name) => {
    const other = services.catalog.peek(name)
    const context = other === undefined ? undefined : contextOf(services, other)
    return other !== undefined && context !== undefined &&
      estimateOf(services, other, request) <= rules.forPrompt(context)
  })

/** The request with a larger context: a tier of the same model, else a sibling; `undefined` where neither has room. */
const enlarged = (
  services: Services,
  rules: Rules,
  request: RoutedRequest,
  model: Model,
  estimate: number,
): Verdict | undefined => {
  const numCtx = tierFor(rules, request, model, estimate)
  if (numCtx !== undefined) return { _tag: "Pass", request, rewrite: { numCtx } }
  const sibling = siblingFor(services, rules, request, model)
  if (sibling === undefined) return undefined
  // The client chose `num_ctx` for the other model, so it is removed.
  const withoutNumCtx = request.envelope.numCtx === undefined ? {} : { numCtx: null }
  return { _tag: "Pass", request, rewrite: { model: sibling, ...withoutNumCtx } }
}

const tooLong = (model: Model, estimate: number, context: number, limit: number): Refusal =>
  refuse(
    "BadRequest",
    `the prompt is too long: about ${estimate} tokens, and ${model.key} takes ${limit} here ` +
      `(a context of ${context} tokens, less what is kept for the answer)`,
  )

/** Whether the client asks for a cut: of its prompt, or of its beginning while the answer grows. */
const wantsCut = ({ body, envelope: { cuts, runnerOptions } }: RoutedRequest): boolean =>
  cuts === true || runnerOptions.some(({ name, start }) => name === "shift" && body[start] === letterT)

const check = (services: Services, rules: Rules, request: RoutedRequest): Verdict => {
  const pass: Verdict = { _tag: "Pass", request }
  const { endpoint, envelope } = request
  if (endpoint.kind === "embed" || endpoint.kind === "transcribe") return pass
  const model = services.catalog.peek(envelope.model)
  if (model === undefined || model.remote) return pass
  const offered = contextOf(services, model)
  if (offered === undefined) return pass
  const context = Math.min(Math.max(offered, envelope.numCtx ?? 0), model.contextTrained ?? Infinity)
  const limit = rules.forPrompt(context)
  if (estimateOf(services, model, request) <= limit || wantsCut(request)) return pass
  const estimate = services.tokens.reread?.(model.key, request) ?? estimateOf(services, model, request)
  if (estimate <= limit || (rules.isCertain && services.tokens.atLeast(request) <= limit)) return pass
  return enlarged(services, rules, request, model, estimate) ?? tooLong(model, estimate, context, limit)
}

/**
 * Refuses a prompt that is too long with 400, or sends it to a larger context where one is configured.
 *
 * **Details**
 *
 * The estimate costs little and lets most requests pass. A prompt that is too long by the estimate is read once more,
 * for the fewest tokens that it can have, so that an error of the estimate refuses no prompt. Only the text counts that
 * every template renders: no thinking of earlier answers, no tools and calls of tools, no ids, and no system prompt
 * unless the request offers tools.
 *
 * A request that asks for the cut passes: with `truncate` or `shift` set to `true`, or on `/v1/responses` with
 * `truncation` set to `auto`.
 *
 * The context is the largest one that an owner of the model has it loaded with, or would load it with. Where that is
 * not known, it is the context that the model was trained with. A larger `num_ctx` in the request counts instead.
 *
 * **Gotchas**
 *
 * Embeddings are not checked: each text of a list has the whole context. A `num_ctx` in a model file is not known
 * before the model was loaded once.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: Options): Effect.Effect<Guard, never, ModelCatalog | Residency | TokenEstimator> => {
  const rules = rulesOf(options ?? {})
  return Effect.gen(function* () {
    const services = { catalog: yield* ModelCatalog, residency: yield* Residency, tokens: yield* TokenEstimator }
    return { kind: "guard", name: "context", check: (request) => check(services, rules, request) }
  })
}
