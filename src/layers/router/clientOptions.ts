/**
 * Decides about the options of clients that change what is in memory: `num_ctx`, `keep_alive`, and the options with
 * which a runner is loaded.
 *
 * @since 0.1.0
 */
import type { BackendView } from "../../services/FleetView.ts"
import type { Model } from "../../services/ModelCatalog.ts"
import { type Refusal, refuse } from "../../services/Refusal.ts"
import type { Residency } from "../../services/Residency.ts"
import { type Changes, clientOf, type Demand, type RoutedRequest } from "../../services/RoutedRequest.ts"
import * as KeepAlive from "../../wire/keepAlive.ts"
import { rewrite } from "../../wire/splice.ts"
import { keepsNothing } from "./requestState.ts"

/**
 * How the router treats clients' options that change what is in memory.
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientOptions {
  /**
   * Context lengths, in tokens, that models may be loaded with besides the automatic one. A request for more than the
   * automatic context gets the smallest tier that is large enough, on a backend that does not hold the model with its
   * automatic context. Defaults to none: such a request is refused.
   */
  readonly contextTiers?: ReadonlyArray<number> | undefined
  /**
   * How long a client needs a model after it has used it, in milliseconds. A `keep_alive` of another client that ends
   * earlier is removed, and another client's unload is refused. Defaults to `300000`, Ollama's own default keep-alive.
   */
  readonly sharedMillis?: number | undefined
  /**
   * Whether backends get `num_thread`, `num_gpu`, `num_batch`, `main_gpu`, `use_mmap`, `draft_num_predict` and `shift`
   * from clients. Ollama reloads the model, for all clients, whenever one of them changes. Defaults to `false`: set
   * them in the model file instead. A removed `shift: false` no longer stops an answer at the end of the context.
   */
  readonly passRunnerOptions?: boolean | undefined
  /** Whether backends get all options of clients unchanged. Defaults to `false`. */
  readonly passThrough?: boolean | undefined
}

/** `ClientOptions` with the defaults applied. @internal */
export interface Policy {
  /** The smallest first. */
  readonly contextTiers: ReadonlyArray<number>
  readonly sharedMillis: number
  readonly passRunnerOptions: boolean
  readonly passThrough: boolean
}

/** Applies the defaults. Throws a `RangeError` on a bad tier. @internal */
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

/**
 * The demand with the context tier that it needs; a refusal when no context is large enough. Called each time before
 * the request is placed: the automatic context of a model is not known before its first load.
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

const tooLong = (model: Model, tokens: number, most: number | undefined): Refusal =>
  refuse(
    "BadRequest",
    `num_ctx ${tokens} is not available for ${model.key} here` +
      (most === undefined ? "" : `: the largest context is ${most} tokens`) +
      "; leave num_ctx out or ask for less",
  )

/** The last use of a model by another client, and until when that client needs it. Milliseconds. @internal */
export interface OtherUse {
  readonly at: number
  readonly until: number
}

/**
 * How long a client needs a model after its last use, in milliseconds: as long as it would stay without anybody's
 * `keep_alive`, but at most `sharedMillis`.
 */
const neededMillis = (backend: string, residency: Residency["Service"], { sharedMillis }: Policy): number => {
  const ours = residency.keepAlive(backend)
  return ours === undefined || ours < 0 ? sharedMillis : Math.min(sharedMillis, ours * 1000)
}

/** The last use of the model on one backend by another client than this one. @internal */
export const otherUse = (
  client: string,
  { backend }: BackendView,
  model: Model,
  residency: Residency["Service"],
  policy: Policy,
): OtherUse | undefined => {
  const at = residency.usedAt(backend.id, model, client)
  return at === undefined ? undefined : { at, until: at + neededMillis(backend.id, residency, policy) }
}

/** What decides about the options of one request. @internal */
export interface Asked {
  readonly request: RoutedRequest
  readonly model: Model
  /** The backend that gets the request. */
  readonly view: BackendView
  /** Whether requests of other clients use the model or wait for it. Asked only when the request has a `keep_alive`. */
  readonly company: () => boolean
  /** Milliseconds by the router's clock. */
  readonly now: number
}

/** Until when others need the model: other clients, a plan that keeps it in memory, and requests that run now. */
const neededUntil = (
  { company, model, now, request, view }: Asked,
  residency: Residency["Service"],
  policy: Policy,
): number => {
  const { id } = view.backend
  const others = otherUse(clientOf(request), view, model, residency, policy)?.until ?? -Infinity
  const held = residency.pinned(id, model) || view.streamsOf(model) > 1 || company()
  return held ? Math.max(others, now + neededMillis(id, residency, policy)) : others
}

/** Whether to remove the client's `keep_alive`. */
const dropsKeepAlive = (asked: Asked, residency: Residency["Service"], policy: Policy): boolean => {
  const { now, request, view } = asked
  const raw = request.envelope.keepAlive
  if (raw === undefined) return false
  const wanted = KeepAlive.seconds(raw)
  // A value that cannot be read is left for Ollama to refuse.
  if (wanted === undefined) return false
  const ours = residency.keepAlive(view.backend.id)
  // Where the router keeps models for ever, Ollama must not unload one by itself later. A client may not ask for a
  // longer time than the router's own.
  if (ours !== undefined && !keepsNothing(request) && (ours < 0 || !(wanted <= ours))) return true
  if (wanted === Infinity) return false
  // On many machines Ollama unloads the model at once for a number that is too large.
  return now + (Number.isNaN(wanted) ? 0 : wanted * 1000) < neededUntil(asked, residency, policy)
}

/** A changed body. @internal */
export interface Rewrite {
  readonly body: Uint8Array
  /** Names of the changed fields, for the header `X-Llamero-Rewrote`. */
  readonly names: ReadonlyArray<string>
}

/**
 * Whether a backend may get another body than the client's own. Most requests have nothing that could be changed.
 *
 * @internal
 */
export const mayRewrite = (
  { endpoint, envelope }: RoutedRequest,
  model: Model,
  backend: string,
  residency: Residency["Service"],
  policy: Policy,
): boolean => {
  const native = endpoint.dialect === "native" || endpoint.dialect === "generate-v1"
  if (policy.passThrough || model.remote || !native) return false
  return envelope.keepAlive !== undefined || envelope.numCtx !== residency.tier(backend, model) ||
    (!policy.passRunnerOptions && envelope.runnerOptions.length > 0)
}

/**
 * The body for a backend, where `mayRewrite`; `undefined` when it is the client's own. Allocates nothing when nothing
 * changes.
 *
 * @internal
 */
export const rewritten = (asked: Asked, residency: Residency["Service"], policy: Policy): Rewrite | undefined => {
  const { model, request, view } = asked
  const { body, endpoint, envelope } = request
  const tier = residency.tier(view.backend.id, model)
  const context = envelope.numCtx !== tier
  const keepAlive = dropsKeepAlive(asked, residency, policy)
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
