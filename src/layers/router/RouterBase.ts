/**
 * Makes a router from a function that gets the answer of one request. It does the rest: refusals, drain, the count of
 * requests, and clients that leave.
 *
 * **Example** (One attempt for each request, on the first backend with a free slot)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Admission, Leases, ModelCatalog, Placement, Relay, Router, RouterBase } from "llamero"
 *
 * const make = Effect.gen(function* () {
 *   const admission = yield* Admission.Admission
 *   const catalog = yield* ModelCatalog.ModelCatalog
 *   const leases = yield* Leases.Leases
 *   const placement = yield* Placement.Placement
 *   const relay = yield* Relay.Relay
 *   return yield* RouterBase.make((request, reply) =>
 *     Effect.flatMap(RouterBase.find(catalog, request), (model) => {
 *       const demand = RouterBase.demandOf(request, model)
 *       return admission.admit(
 *         demand,
 *         (waiting) => leases.commit(placement.rank(demand, leases.view), demand, waiting),
 *         (lease) => RouterBase.send(relay, lease, request, reply)
 *       )
 *     })
 *   )
 * })
 * const layer = Layer.effect(Router.Router, make)
 * ```
 *
 * @since 0.1.0
 */
import { Cause, Clock, Effect } from "effect"
import type { Lease } from "../../services/Leases.ts"
import type { Model, ModelCatalog } from "../../services/ModelCatalog.ts"
import { type Refusal, refuse } from "../../services/Refusal.ts"
import type { Attempt, Relay } from "../../services/Relay.ts"
import type { ReplySink } from "../../services/Reply.ts"
import type { Demand, RoutedRequest } from "../../services/RoutedRequest.ts"
import { Router, type Settled } from "../../services/Router.ts"
import { forwardHeaders } from "../../wire/headers.ts"
import { streams } from "../../wire/request.ts"
import { notFound } from "./notFound.ts"
import { keepsNothing, unloads } from "./run.ts"

/** The last attempt of a request. @category models @since 0.1.0 */
export interface LastAttempt {
  readonly attempt: Attempt
  /** Id of the backend. */
  readonly backend: string
  /** Milliseconds from arrival to the lease. */
  readonly queuedMillis: number
}

/**
 * A router from the function that gets the answer of one request. The function sends the answer to `reply`, or fails
 * with a refusal, which is sent to the client. An attempt that ends as `Retry` is refused as `BackendFailed`. A
 * defect is refused as `Internal`, and logged. Guards, retries, coalescing and events are not in it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  route: (request: RoutedRequest, reply: ReplySink) => Effect.Effect<LastAttempt, Refusal>,
): Effect.Effect<Router["Service"]> =>
  Effect.sync(() => {
    let active = 0
    let draining = false
    const leave = Effect.sync(() => {
      active--
    })
    return Router.of({
      active: () => active,
      draining: () => draining,
      drain: Effect.sync(() => {
        draining = true
      }),
      route: (request, reply) =>
        Effect.suspend(() => {
          active++
          const answered = Effect.suspend(() => draining ? closing : route(request, reply))
          return Effect.ensuring(settled(answered, reply), leave)
        }),
    })
  })

const closing = Effect.fail(refuse("Draining", "this router is shutting down", { retryAfter: 5 }))

const settled = (answer: Effect.Effect<LastAttempt, Refusal>, reply: ReplySink): Effect.Effect<Settled> => {
  const refused = (refusal: Refusal, last?: LastAttempt): Settled => {
    reply.refuse(refusal)
    return settledWith("refused", refusal.status, refusal, last)
  }
  return answer.pipe(
    Effect.catchCause((cause) => {
      if (Cause.hasInterrupts(cause)) return Effect.failCause(cause)
      const refusal = Cause.findErrorOption(cause)
      if (refusal._tag === "Some") return Effect.fail(refusal.value)
      return Effect.andThen(Effect.logError("a router's function died", cause), Effect.fail(internal))
    }),
    Effect.match({
      onFailure: refused,
      onSuccess: (last) =>
        last.attempt._tag === "Answered"
          ? settledWith("answered", last.attempt.status, undefined, last)
          : refused(refuse("BackendFailed", "the backend failed before it answered", { retryAfter: 1 }), last),
    }),
  )
}

const internal = refuse("Internal", "the router failed")

const settledWith = (
  result: Settled["result"],
  status: number,
  refusal: Refusal | undefined,
  last: LastAttempt | undefined,
): Settled => ({
  result,
  status,
  refusal,
  outcome: last?.attempt.outcome,
  backend: last?.backend,
  attempts: last === undefined ? 0 : 1,
  queuedMillis: last?.queuedMillis ?? 0,
})

/** The model that a request names; the refusal that fits when it is missing. @category lookups @since 0.1.0 */
export const find = (catalog: ModelCatalog["Service"], request: RoutedRequest): Effect.Effect<Model, Refusal> => {
  const { model } = request.envelope
  const known = catalog.peek(model)
  if (known !== undefined) return Effect.succeed(known)
  return Effect.mapError(catalog.find(model), (error) => notFound(error, model))
}

/**
 * What a request asks for, of admission, placement and leases. `promptTokens` defaults to a quarter of the bytes of the
 * prompt.
 *
 * @category constructors
 * @since 0.1.0
 */
export const demandOf = (request: RoutedRequest, model: Model, promptTokens?: number): Demand => ({
  id: request.id,
  kind: request.endpoint.kind,
  model,
  numCtx: request.envelope.numCtx,
  promptTokens: promptTokens ?? Math.ceil(request.envelope.promptBytes / 4),
  bytes: request.body.length,
  tenant: request.tenant,
  priority: request.priority,
  since: request.receivedAt,
  queueMillis: request.queueMillis,
  session: request.session,
  keepsNothing: keepsNothing(request),
  excluded: [],
  loads: !unloads(request),
})

/** One attempt: sends the request, unchanged, to the backend of a lease. @category combinators @since 0.1.0 */
export const send = (
  relay: Relay["Service"],
  lease: Lease,
  request: RoutedRequest,
  reply: ReplySink,
): Effect.Effect<LastAttempt> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const { body, endpoint, headers, id, receivedAt } = request
    const call = { method: "POST", path: endpoint.upstreamPath, headers: forwardHeaders(headers, id), body }
    const expect = { streams: streams(request), streamEnd: endpoint.streamEnd }
    return Effect.map(
      relay.run(lease, call, expect, reply),
      (attempt) => ({ attempt, backend: lease.backend.id, queuedMillis: now - receivedAt }),
    )
  })
