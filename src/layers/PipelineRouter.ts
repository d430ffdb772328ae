/**
 * The pipeline: guards, coalescing, admission, attempts, settled.
 *
 * @since 0.1.0
 */
import { Cause, Clock, Effect, Exit, Layer } from "effect"
import { Admission } from "../services/Admission.ts"
import { Coalescer } from "../services/Coalescer.ts"
import { type Commit, type Lease, Leases } from "../services/Leases.ts"
import { type Model, ModelCatalog } from "../services/ModelCatalog.ts"
import { clientGone, type Outcome } from "../services/Outcome.ts"
import { Placement } from "../services/Placement.ts"
import type { GuardInput, GuardNeeds, RetryPolicy } from "../services/Plugin.ts"
import { type Refusal, refuse } from "../services/Refusal.ts"
import { type Attempt, type BackendAnswer, Relay } from "../services/Relay.ts"
import type { ReplySink } from "../services/Reply.ts"
import { Residency } from "../services/Residency.ts"
import type { Demand, RoutedRequest } from "../services/RoutedRequest.ts"
import { Router, type Settled } from "../services/Router.ts"
import { RouterEvents } from "../services/RouterEvents.ts"
import { TokenEstimator } from "../services/TokenEstimator.ts"
import type { Call, Upstream } from "../services/Transport.ts"
import { forwardHeaders } from "./edge/headers.ts"
import { streams } from "./edge/request.ts"
import { type ClientOptions, policy, rewritten, tiered } from "./pipeline/clientOptions.ts"
import * as Guards from "./pipeline/guards.ts"
import * as Hedge from "./pipeline/hedge.ts"
import * as Heartbeats from "./pipeline/heartbeats.ts"
import { giveUp, mayFareBetter, notFound, saysNotWhen } from "./pipeline/givingUp.ts"
import { learnFrom } from "./pipeline/learning.ts"
import { keepsNothing, Run, unloads } from "./pipeline/run.ts"

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
    const admission = yield* Admission
    const catalog = yield* ModelCatalog
    const clock = yield* Clock.Clock
    const coalescer = yield* Coalescer
    const events = yield* RouterEvents
    const leases = yield* Leases
    const placement = yield* Placement
    const relay = yield* Relay
    const residency = yield* Residency
    const tokens = yield* TokenEstimator
    const guards = yield* Guards.make(options.guards ?? [], clock)
    const retry = options.retry ?? noRetry
    const clients = policy(options.clientOptions)
    const underWay = yield* Heartbeats.make(options.heartbeatMillis ?? 15_000)
    // Answers that clients share: their signs of life go to all of them.
    const shared = yield* Heartbeats.make(options.heartbeatMillis ?? 15_000)
    let draining = false

    const demandOf = (run: Run, model: Model): Demand => {
      const { envelope, endpoint, ...request } = run.request
      return {
        id: request.id,
        kind: endpoint.kind,
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
        keepsNothing: keepsNothing(run.request),
        loads: !unloads(run.request),
      }
    }

    const hedged = retry.hedging === undefined ? undefined : yield* Hedge.make({
      events,
      leases,
      placement,
      relay,
      residency,
      retry,
      hedging: retry.hedging,
      failed: (demand, backend, { outcome: { cause } }) => {
        if (cause === "http-404") lost(demand, backend)
        attemptFailed(demand, backend, cause)
      },
    })

    const attempt = (
      run: Run,
      demand: Demand,
      reply: ReplySink,
      request?: () => RoutedRequest,
    ): Effect.Effect<Settled, Refusal> => {
      run.demand = demand
      const expect = { streams: streams(run.request), streamEnd: run.request.endpoint.streamEnd }
      const asked = demand.loads && !demand.model.remote && !clients.passThrough
        ? run.request.envelope.numCtx
        : undefined
      const commit = (waiting: number): Commit => {
        const placed = asked === undefined ? demand : tiered(demand, asked, residency, clients)
        if ("_tag" in placed) return placed
        const committed = leases.commit(placement.rank(placed, leases.view), placed, waiting)
        run.working = committed !== "wait"
        if (committed === "loading") run.cold = true
        return committed
      }
      return Effect.flatMap(
        admission.admit(
          demand,
          commit,
          (lease) => {
            run.attempts++
            if (demand.cold === true) run.cold = true
            run.outcome = undefined
            run.backend = lease.backend.id
            if (request !== undefined) run.request = request()
            run.queuedMillis = clock.currentTimeMillisUnsafe() - demand.since
            return hedged !== undefined && Hedge.hedges(run, lease.demand)
              ? hedged(lease, { run, expect, reply, call: (to, lane) => passedOn(run, to, lane) })
              : relay.run(lease, passedOn(run, lease, reply), expect, reply)
          },
        ),
        (ended) => {
          run.outcome = ended.outcome
          if (ended._tag === "Answered") return Effect.succeed(answered(run, demand, ended))
          return again(run, demand, reply, ended, request)
        },
      )
    }

    /** The call with the client's options as the policy has them for this backend. */
    const passedOn = (run: Run, { backend, demand: { model } }: Lease, reply: ReplySink): Call => {
      const { body, endpoint, headers, id } = run.request
      const call: Call = {
        method: "POST",
        path: endpoint.upstreamPath,
        headers: forwardHeaders(headers, id, options.forwardCredentials),
        body,
      }
      const view = leases.view.find(backend.id)
      if (view === undefined) return call
      const changed = rewritten(run.request, model, view, residency, clients, clock.currentTimeMillisUnsafe())
      if (changed === undefined) return call
      // Once: a second attempt may rewrite the same again.
      if (run.rewrote === undefined) reply.annotate(["x-llamero-rewrote", changed.names.join()])
      run.rewrote ??= changed.names
      return { ...call, body: changed.body }
    }

    const answered = (run: Run, demand: Demand, ended: Attempt & { readonly _tag: "Answered" }): Settled => {
      // What the call did to the backend's memory is known now, not only at the next reading.
      const removed = keepsNothing(run.request) && run.rewrote?.includes("keep_alive") !== true
      if (ended.outcome.kind === "success" && removed) residency.forget(run.backend!, demand.model)
      return run.end("answered", ended.status, undefined)
    }

    const again = (
      run: Run,
      demand: Demand,
      reply: ReplySink,
      ended: Attempt & { readonly _tag: "Retry" },
      request?: () => RoutedRequest,
    ): Effect.Effect<Settled, Refusal> => {
      const elsewhere: Demand = { ...demand, excluded: [...demand.excluded, ...run.alsoFailed, run.backend!] }
      const { cause } = ended.outcome
      const failed = { demand, backend: run.backend!, outcome: ended.outcome, attempts: run.attempts }
      const now = clock.currentTimeMillisUnsafe()
      if (cause === "http-404") lost(demand, run.backend!)
      const worth = placement.rank(elsewhere, leases.view).size > 0 &&
        mayFareBetter(cause, demand, leases.view.find(run.backend!)) && retry.decide(failed, now) === "elsewhere"
      // An answer that is passed on is told with the request.
      if (!worth && ended.answer !== undefined) return Effect.sync(() => passOn(run, reply, ended.answer!))
      attemptFailed(demand, run.backend!, cause)
      return worth ? attempt(run, elsewhere, reply, request) : Effect.fail(giveUp(demand, ended.outcome))
    }

    /** It has the model no longer. */
    const lost = (demand: Demand, backend: string): void => {
      residency.forget(backend, demand.model)
      catalog.forget(backend, demand.model)
    }

    const attemptFailed = (demand: Demand, backend: string, cause: string): void =>
      events.publish({ _tag: "AttemptFailed", at: clock.currentTimeMillisUnsafe(), id: demand.id, backend, cause })

    const passOn = (run: Run, reply: ReplySink, answer: BackendAnswer): Settled => {
      // Ollama's own "busy" says nothing of when to come back.
      if (saysNotWhen(answer)) reply.annotate(["Retry-After", "1"])
      reply.open(gone)
      reply.head(answer.status, answer.rawHeaders)
      reply.data(answer.body)
      reply.end()
      return run.end("answered", answer.status, undefined)
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

    const settle = (run: Run, exit: Exit.Exit<Settled>): void => {
      underWay.remove(run)
      run.settled = true
      const settled = Exit.isSuccess(exit) ? exit.value : run.end("canceled", 499, undefined)
      const outcome = settled.outcome ?? { kind: "ignored", cause: settled.refusal?.reason ?? "client-gone" }
      if (settled.coalesced === undefined) learnFrom(run, outcome, tokens, residency, catalog)
      const now = clock.currentTimeMillisUnsafe()
      events.publish({
        _tag: "RequestSettled",
        at: now,
        id: run.request.id,
        route: run.request.endpoint.path,
        kind: run.request.endpoint.kind,
        model: run.model,
        known: run.known,
        tenant: run.request.tenant,
        settled,
        totalMillis: now - run.request.receivedAt,
        bytesIn: run.request.body.length,
        bytesOut: run.reply.bytes,
        rewrote: run.rewrote,
        cold: run.cold,
      })
      // Last, so that a guard that throws takes nothing else with it.
      if (run.settledGuards.length === 0) return
      const told = charged(run, outcome)
      for (const hear of run.settledGuards.splice(0)) hear(told)
    }

    const refusing = (run: Run, why: Refusal): Settled => {
      run.reply.refuse(why)
      return run.end("refused", why.status, why)
    }

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
            (exit) => Effect.sync(() => settle(run, exit)),
          )
        }),
    })

    function rescued(run: Run, routing: Effect.Effect<Settled, Refusal>): Effect.Effect<Settled> {
      return Effect.catchCause(routing, (cause) => recovered(run, cause))
    }

    function recovered(run: Run, cause: Cause.Cause<Refusal>): Effect.Effect<Settled> {
      const why = Cause.findErrorOption(cause)
      if (why._tag === "Some") return Effect.sync(() => refusing(run, why.value))
      if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
      const next = guards.passOver(run)
      if (next !== undefined) {
        return rescued(
          run,
          Effect.andThen(
            Effect.logError(`request ${run.request.id}: a guard failed`, cause),
            Effect.suspend(() => routed(run, next)),
          ),
        )
      }
      // Our own fault: the operator gets the cause, the client gets none of it.
      return Effect.andThen(
        Effect.logError(`request ${run.request.id} failed`, cause),
        Effect.sync(() => refusing(run, refuse("Internal", "internal error in the router"))),
      )
    }
  })

/** A record of a stream is a token and about so many bytes, in any dialect. */
const recordBytes = 200

/** For guards that charge for tokens: where nobody counted those of a stream, be it that its client left or that it did not ask, its length tells. */
const charged = (run: Run, outcome: Outcome): Outcome => {
  const served = run.attempts > 0 || run.reply.bytes > 0
  const uncounted = served && outcome.usage?.answerTokens === undefined &&
    (outcome.cause === "client-gone" || (outcome.kind === "success" && streams(run.request)))
  if (!uncounted) return outcome
  const { promptTokens, slotWaitMillis } = outcome.usage ?? {}
  const answerTokens = Math.ceil(run.reply.bytes / recordBytes)
  return { ...outcome, usage: { promptTokens, slotWaitMillis, answerTokens } }
}

/** Stands in for an upstream that has already ended. */
const gone: Upstream = { pause: () => {}, resume: () => {}, abort: () => {} }

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
