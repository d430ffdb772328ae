/**
 * What becomes of the options of a client that would change what is in memory: `num_ctx`, `keep_alive`, and those that say how a runner is loaded.
 *
 * @since 0.1.0
 */
import type { BackendView } from "../../services/FleetView.ts"
import type { Model } from "../../services/ModelCatalog.ts"
import { type Refusal, refuse } from "../../services/Refusal.ts"
import type { Residency } from "../../services/Residency.ts"
import type { Changes, Demand, RoutedRequest } from "../../services/RoutedRequest.ts"
import { rewrite } from "../../wire/splice.ts"
import { keepsNothing } from "./run.ts"

/**
 * How the options of clients are treated.
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientOptions {
  /**
   * Context lengths that models may be loaded with besides the automatic one, on a backend that does not hold them with the automatic one. A request for more
   * than the automatic context is rounded up to one of them. Defaults to none: such a request is refused.
   */
  readonly contextTiers?: ReadonlyArray<number> | undefined
  /** `keep_alive: 0` does nothing while others have used the model for less long ago. Defaults to `300000`, Ollama's own default keep-alive. */
  readonly sharedMillis?: number | undefined
  /**
   * Whether `num_thread`, `num_gpu`, `num_batch`, `main_gpu`, `use_mmap`, `draft_num_predict` and `shift` go to the backend: it loads the model again, for
   * everybody, whenever one differs from what it was loaded with. Defaults to `false`: they are for the model file. A `shift: false` that is left out no longer
   * stops an answer at the end of the context.
   */
  readonly passRunnerOptions?: boolean | undefined
  /** Whether clients' options go to the backend as they are. Defaults to `false`. */
  readonly passThrough?: boolean | undefined
}

/** `ClientOptions` with the defaults applied. @internal */
export interface Policy {
  /** Rising. */
  readonly contextTiers: ReadonlyArray<number>
  readonly sharedMillis: number
  readonly passRunnerOptions: boolean
  readonly passThrough: boolean
}

/** @internal */
export const policy = (options: ClientOptions | undefined): Policy => {
  const tiers = options?.contextTiers ?? []
  for (const tier of tiers) {
    if (!Number.isSafeInteger(tier) || tier < 1) {
      throw new RangeError(`PipelineRouter.layer: contextTiers must be whole numbers of at least 1, got ${tier}`)
    }
  }
  return {
    contextTiers: tiers.toSorted((a, b) => a - b),
    sharedMillis: options?.sharedMillis ?? 300_000,
    passRunnerOptions: options?.passRunnerOptions ?? false,
    passThrough: options?.passThrough ?? false,
  }
}

const number = (tokens: number): string => String(tokens)

/**
 * The demand with the context tier that serves it; a refusal where none does. Asked again whenever a request is about to be placed, since the automatic context
 * of a model that was never loaded may not be known before.
 *
 * @internal
 */
export const tiered = (
  demand: Demand,
  asked: number,
  residency: Residency["Service"],
  policy: Policy,
): Demand | Refusal => {
  const { model } = demand
  // Ollama itself never loads more than the model was trained with.
  const tokens = Math.max(1, Math.min(asked, model.contextTrained ?? Infinity))
  let most: number | undefined
  for (const id of model.owners.keys()) {
    const context = residency.context(id, model)
    if (context === undefined || context >= tokens) {
      return demand.numCtx === tokens && demand.tier === undefined
        ? demand
        : { ...demand, numCtx: tokens, tier: undefined }
    }
    most = Math.max(most ?? 0, context)
  }
  const tier = policy.contextTiers.find((each) => each >= tokens)
  if (tier !== undefined) return demand.tier === tier ? demand : { ...demand, numCtx: tokens, tier }
  const largest = policy.contextTiers.at(-1)
  return tooLong(model, tokens, largest === undefined ? most : Math.max(largest, most ?? 0))
}

/** @internal */
export const tooLong = (model: Model, tokens: number, most: number | undefined): Refusal =>
  refuse(
    "BadRequest",
    `num_ctx ${number(tokens)} is not available for ${model.key} here` +
      (most === undefined ? "" : `: the largest context is ${number(most)} tokens`) +
      "; leave num_ctx out or ask for less",
  )

/** Whether somebody who wants to keep the model uses it, or has lately. */
const shared = (
  view: BackendView,
  model: Model,
  residency: Residency["Service"],
  policy: Policy,
  now: number,
): boolean => {
  if (view.streamsOf(model) > 1) return true
  const usedAt = residency.usedAt(view.backend.id, model)
  return usedAt !== undefined && now - usedAt < policy.sharedMillis
}

const secondsOf: Readonly<Record<string, number>> = { ns: 1e-9, us: 1e-6, "µs": 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600 }

/** Seconds of a `keep_alive` as it stands in the body, `Infinity` for ever; `undefined` for what Ollama will not understand. */
const seconds = (raw: string): number | undefined => {
  const text = raw.replace(/^"|"$/g, "").trim()
  if (text.startsWith("-")) return Infinity
  if (raw[0] !== `"`) return Number.isFinite(Number(text)) ? Number(text) : undefined
  let total = 0
  let read = 0
  for (const [part, amount, unit] of text.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)/g)) {
    total += Number(amount) * secondsOf[unit!]!
    read += part.length
  }
  return text === "0" ? 0 : read > 0 && read === text.length ? total : undefined
}

const dropsKeepAlive = (
  request: RoutedRequest,
  view: BackendView,
  model: Model,
  residency: Residency["Service"],
  policy: Policy,
  now: number,
): boolean => {
  const raw = request.envelope.keepAlive
  if (raw === undefined) return false
  if (keepsNothing(request)) return shared(view, model, residency, policy, now)
  const wanted = seconds(raw)
  // Nonsense is for Ollama to refuse.
  if (wanted === undefined) return false
  const ours = residency.keepAlive(view.backend.id)
  if (ours === undefined) return false
  // Shorter than for ever would make Ollama evict by itself; longer than the router's own is not for a client to say.
  return ours < 0 || wanted > ours
}

/** What is changed, and what that is called in the response header. @internal */
export interface Rewrite {
  readonly body: Uint8Array
  readonly names: ReadonlyArray<string>
}

/** The body that goes to a backend, where it is not the client's own. Nothing is allocated when nothing is rewritten. @internal */
export const rewritten = (
  request: RoutedRequest,
  model: Model,
  view: BackendView,
  residency: Residency["Service"],
  policy: Policy,
  now: number,
): Rewrite | undefined => {
  const { body, endpoint, envelope } = request
  const native = endpoint.dialect === "native" || endpoint.dialect === "brief"
  if (policy.passThrough || model.remote || !native) return undefined
  const tier = residency.tier(view.backend.id, model)
  const context = envelope.numCtx !== tier
  const keepAlive = dropsKeepAlive(request, view, model, residency, policy, now)
  const runner = !policy.passRunnerOptions && envelope.runnerOptions.length > 0
  if (!context && !keepAlive && !runner) return undefined
  const changes: Changes = {
    ...(context ? { numCtx: tier ?? null } : {}),
    ...(keepAlive ? { keepAlive: null } : {}),
    ...(runner ? { runnerOptions: null } : {}),
  }
  const names = [
    ...(context ? ["num_ctx"] : []),
    ...(keepAlive ? ["keep_alive"] : []),
    ...(runner ? envelope.runnerOptions.map(({ name }) => name) : []),
  ]
  return { body: rewrite(body, envelope, endpoint, changes).body, names }
}
