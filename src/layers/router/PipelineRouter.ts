/**
 * The pipeline: guards, coalescing, admission, attempts, settled.
 *
 * @since 0.1.0
 */
import { Cause, Clock, Effect, Exit, Layer } from "effect"
import type { Admission } from "../../services/Admission.ts"
import { Coalescer } from "../../services/Coalescer.ts"
import type { Leases } from "../../services/Leases.ts"
import { type Model, ModelCatalog } from "../../services/ModelCatalog.ts"
import { clientGone } from "../../services/Outcome.ts"
import type { Placement } from "../../services/Placement.ts"
import type { GuardInput, GuardNeeds, RetryPolicy } from "../../services/Plugin.ts"
import { type Refusal, refuse } from "../../services/Refusal.ts"
import type { Relay } from "../../services/Relay.ts"
import type { ReplySink } from "../../services/Reply.ts"
import type { Residency } from "../../services/Residency.ts"
import type { Demand, RoutedRequest } from "../../services/RoutedRequest.ts"
import { Router, type Settled } from "../../services/Router.ts"
import { RouterEvents } from "../../services/RouterEvents.ts"
import { TokenEstimator } from "../../services/TokenEstimator.ts"
import * as Attempts from "./attempts.ts"
import { type ClientOptions, policy } from "./clientOptions.ts"
import { notFound } from "./givingUp.ts"
import * as Guards from "./guards.ts"
import * as Heartbeats from "./heartbeats.ts"
import * as Rescue from "./rescue.ts"
import { keepsNothing, Run, unloads } from "./run.ts"
import * as Settling from "./settling.ts"

/** @category models @since 0.1.0 */
export interface Options<G extends ReadonlyArray<GuardInput<unknown>> = []> {
  /** Asked in this order, before a request is queued. Defaults to none. */
  readonly guards?: G | undefined
  /** Defaults to giving up after the first attempt. */
  readonly retry?: RetryPolicy | undefined
  /** Silence after which a streamed answer gets a sign of life, in milliseconds. Defaults to `15000` (the brief). */
  readonly heartbeatMillis?: number | undefined
  /** What becomes of `num_ctx`, `keep_alive` and what else would load a model again. */
  readonly clientOptions?: ClientOptions | undefined
  /** Whether backends are sent the clients' `Authorization`, `Cookie` and API key headers. Defaults to `false`: they are for the router. */
  readonly forwardCredentials?: boolean | undefined
}

const noRetry: RetryPolicy = { kind: "retry", name: "none", seen: () => {}, decide: () => "give-up" }

const make = (options: Options<ReadonlyArray<GuardInput<unknown>>>) =>
  Effect.gen(function* () {
    const catalog = yield* ModelCatalog
    const clock = yield* Clock.Clock
    const coalescer = yield* Coalescer
    const events = yield* RouterEvents
    const tokens = yield* TokenEstimator
    const guards = yield* Guards.make(options.guards ?? [], clock)
    const retry = options.retry ?? noRetry
    const clients = policy(options.clientOptions)
    const attempt = yield* Attempts.make({ retry, clients, forwardCredentials: options.forwardCredentials ?? false })
    const settle = yield* Settling.make
    const underWay = yield* Heartbeats.make(options.heartbeatMillis ?? 15_000)
    // Answers that clients share: their signs of life go to all of them.
    const shared = yield* Heartbeats.make(options.heartbeatMillis ?? 15_000)
    let draining = false

    const demandOf = (run: Run, model: Model): Demand => {
      const { request } = run
      const { envelope } = request
      return {
        id: request.id,
        kind: request.endpoint.kind,
        model,
        numCtx: clients.passThrough ? undefined : envelope.numCtx,
        promptTokens: tokens.estimate(model.key, envelope.promptBytes, envelope.images),
        bytes: request.body.length,
        tenant: request.tenant,
        priority: request.priority,
        since: request.receivedAt,
        queueMillis: request.queueMillis,
        session: request.session,
        excluded: [],
        deadline: undefined,
        waiting: undefined,
        cold: undefined,
        tier: undefined,
        keepsNothing: keepsNothing(request),
        loads: !unloads(request),
      }
    }

    const routed = (run: Run, from = 0): Effect.Effect<Settled, Refusal> => {
      const refused = guards.ask(run, from)
      return refused === undefined ? placed(run) : Effect.flatMap(refused, () => placed(run))
    }

    const placed = (run: Run): Effect.Effect<Settled, Refusal> => {
      const name = run.request.envelope.model
      if (name === "" && run.request.endpoint.kind === "chat") {
        return Effect.fail(refuse("BadRequest", "model is required"))
      }
      const model = catalog.peek(name)
      if (model !== undefined) return led(run, model)
      return Effect.flatMap(
        Effect.mapError(catalog.find(name), (error) => notFound(error, name)),
        (found) => led(run, found),
      )
    }

    const led = (run: Run, model: Model): Effect.Effect<Settled, Refusal> => {
      run.known = true
      run.model = model.key
      retry.seen(clock.currentTimeMillisUnsafe())
      return coalescer.join(
        run.request,
        demandOf(run, model),
        run.reply,
        (demand, reply, request) =>
          reply === run.reply ? attempt(run, demand, reply) : flown(run, demand, reply, request),
      )
    }

    /** An answer for several clients has a run of its own: it outlives any of them. */
    const flown = (
      leader: Run,
      demand: Demand,
      reply: ReplySink,
      request: (() => RoutedRequest) | undefined,
    ): Effect.Effect<Settled, Refusal> =>
      Effect.suspend(() => {
        const run = new Run(leader.request, reply)
        shared.add(run)
        return Effect.onExit(attempt(run, demand, reply, request), (exit) =>
          Effect.sync(() => {
            shared.remove(run)
            if (Exit.isSuccess(exit) || !Cause.hasInterruptsOnly(exit.cause)) return leader.take(run)
            // No request is left to tell of this attempt.
            if (run.backend !== undefined && run.outcome === undefined) {
              events.publish({
                _tag: "AttemptFailed",
                at: clock.currentTimeMillisUnsafe(),
                id: demand.id,
                backend: run.backend,
                cause: clientGone.cause,
              })
            }
          }))
      })

    const rescued = Rescue.make(guards, routed)

    return Router.of({
      active: () => underWay.size,
      draining: () => draining,
      drain: Effect.sync(() => {
        draining = true
      }),
      route: (request, reply) =>
        Effect.suspend(() => {
          const run = new Run(request, reply)
          underWay.add(run)
          return Effect.onExit(
            // Suspended once more, so that a plugin that throws is caught as one that dies.
            rescued(run, Effect.suspend(() => draining ? closing : routed(run))),
            (exit) =>
              Effect.sync(() => {
                underWay.remove(run)
                settle(run, exit)
              }),
          )
        }),
    })
  })

const closing = Effect.fail(refuse("Draining", "this router is shutting down", { retryAfter: 5 }))

/** What the pipeline is made of. @category models @since 0.1.0 */
export type Needs =
  | Admission
  | Coalescer
  | Leases
  | ModelCatalog
  | Placement
  | Relay
  | Residency
  | RouterEvents
  | TokenEstimator

/**
 * A router over the deployer's layers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const G extends ReadonlyArray<GuardInput<unknown>> = []>(
  options?: Options<G>,
): Layer.Layer<Router, never, Needs | GuardNeeds<G[number]>> =>
  // Each guard's needs are in `G`; that together they are what is asked for here is beyond the compiler.
  Layer.effect(Router, make(options ?? {}) as Effect.Effect<Router["Service"], never, Needs | GuardNeeds<G[number]>>)
