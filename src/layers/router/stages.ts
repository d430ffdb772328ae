/**
 * The stages of a request, one after the other: guards, the model's look-up, coalescing, attempts.
 *
 * @since 0.1.0
 */
import { Clock, Effect } from "effect"
import type { Admitted } from "../../services/Admission.ts"
import { Coalescer } from "../../services/Coalescer.ts"
import { type Model, ModelCatalog } from "../../services/ModelCatalog.ts"
import type { RetryPolicy } from "../../services/Plugin.ts"
import type { Refusal } from "../../services/Refusal.ts"
import type { Demand } from "../../services/RoutedRequest.ts"
import type { Settled } from "../../services/Router.ts"
import { TokenEstimator } from "../../services/TokenEstimator.ts"
import type { Bag } from "../../support/bag.ts"
import * as Attempts from "./attempts.ts"
import { demandOf } from "./demand.ts"
import * as Flights from "./flights.ts"
import type { Guards } from "./guards.ts"
import { misnamed, notFound } from "./refusals.ts"
import { type Run, unloads } from "./requestState.ts"
import type { Unloading } from "./unload.ts"

/** @internal */
export interface Options extends Attempts.Options {
  readonly guards: Guards
  readonly retry: RetryPolicy
  /** Where the runs of shared answers are kept while they go on. */
  readonly shared: Bag<Run>
  readonly unload: Unloading["unload"]
}

/** @internal */
export interface Stages {
  /** Routes a request from the guard at an index on. */
  readonly from: (run: Run, guard: number) => Effect.Effect<Settled, Refusal>
  /** Routes a request as far as it needs no fiber: to its lease, or to what has to run in a fiber. */
  readonly now: (run: Run) => Admitted | Effect.Effect<Settled, Refusal>
  readonly attempts: Attempts.Attempts
}

/** @internal */
export const make = Effect.fnUntraced(function* (options: Options) {
  const { clients, guards, missing, retry, shared, unload } = options
  const catalog = yield* ModelCatalog
  const clock = yield* Clock.Clock
  const coalescer = yield* Coalescer
  const tokens = yield* TokenEstimator
  const attempts = yield* Attempts.make(options)
  const flight = yield* Flights.make(attempts.attempt, shared)

  const guarded = (run: Run, from: number): Effect.Effect<Settled, Refusal> => {
    const refused = guards.ask(run, from)
    return refused === undefined ? found(run) : Effect.flatMap(refused, () => found(run))
  }

  /** Without a step of the fiber when the catalog knows the model already. */
  const found = (run: Run): Effect.Effect<Settled, Refusal> => {
    const name = run.request.envelope.model
    const model = catalog.peek(name)
    if (model !== undefined) return coalesced(run, model)
    const wrong = misnamed(run.request.endpoint, name)
    if (wrong !== undefined) return Effect.fail(wrong)
    return Effect.flatMap(
      Effect.mapError(catalog.find(name), (error) => notFound(error, name)),
      (model) => coalesced(run, model),
    )
  }

  const isUnload = (run: Run, model: Model): boolean => unloads(run.request) && !model.remote

  const coalesced = (run: Run, model: Model): Effect.Effect<Settled, Refusal> => {
    run.known = true
    run.model = model.key
    if (isUnload(run, model)) return unload(run, model)
    return coalescer.join(
      run.request,
      demanded(run, model),
      run.reply,
      (demand, reply, request) =>
        // The coalescer hands on the run's own reply when no other client shares the answer.
        reply === run.reply ? attempts.attempt(run, demand, reply) : flight(run, demand, reply, request),
    )
  }

  const demanded = (run: Run, model: Model): Demand => {
    run.askedAt = clock.currentTimeMillisUnsafe()
    retry.seen(run.askedAt)
    const { images, numCtx, promptBytes } = run.request.envelope
    return demandOf(
      run.request,
      model,
      tokens.estimate(model.key, promptBytes, images),
      clients.passThrough ? undefined : numCtx,
      missing.excluded(run.request.endpoint.upstreamPath, model),
    )
  }

  const now: Stages["now"] = (run) => {
    const refused = guards.ask(run, 0)
    if (refused !== undefined) return Effect.flatMap(refused, () => found(run))
    const model = catalog.peek(run.request.envelope.model)
    if (model === undefined || isUnload(run, model) || coalescer.join.isAlone?.(run.request) !== true) return found(run)
    run.known = true
    run.model = model.key
    return attempts.admitNow(run, demanded(run, model))
  }

  const stages: Stages = { from: guarded, now, attempts }
  return stages
})
