/**
 * Makes a router from a function that gets the answer of one request. It does the rest: refusals, drain, the count of
 * requests, clients that leave, events and traces.
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
import { notOffered } from "../../services/Outcome.ts"
import { type Refusal, refuse } from "../../services/Refusal.ts"
import type { Attempt, Relay } from "../../services/Relay.ts"
import type { ReplySink } from "../../services/Reply.ts"
import type { Demand, RoutedRequest } from "../../services/RoutedRequest.ts"
import { Router, type Settled } from "../../services/Router.ts"
import { forwardHeaders } from "../../wire/headers.ts"
import { streams } from "../../wire/request.ts"
import * as BaseRecords from "./baseRecords.ts"
import * as Demands from "./demand.ts"
import * as HeldAnswer from "./heldAnswer.ts"
import { draining, misnamed, notFound } from "./refusals.ts"
import * as TracedAttempts from "./tracedAttempts.ts"

/** The last attempt of a request. @category models @since 0.1.0 */
export interface LastAttempt {
  /** How it ended. */
  readonly attempt: Attempt
  /** Id of the backend. */
  readonly backend: string
  /** Milliseconds from arrival to the lease. */
  readonly queuedMillis: number
}

/**
 * A router from the function that gets the answer of one request. The function sends the answer to `reply`, or fails
 * with a refusal, which is sent to the client. Guards, retries and coalescing are not in it.
 *
 * **Details**
 *
 * What the router refuses by itself:
 *
 * - `Draining` (503, `Retry-After` 5 seconds): the request came after `drain`. The function is not called.
 * - `BackendFailed` (502, `Retry-After` 1 second): the attempt ended as `Retry`. The answer of a backend that does not
 *   have the path at all is passed on.
 * - `Internal` (500): the function died or threw. That is logged.
 *
 * Each request is one `RequestSettled`, if there are `RouterEvents`, and has spans, if there is `Tracing`. The function
 * calls `send` for its attempts to be in the trace, and for backends to get their `traceparent`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  route: (request: RoutedRequest, reply: ReplySink) => Effect.Effect<LastAttempt, Refusal>,
): Effect.Effect<Router["Service"]> =>
  Effect.map(BaseRecords.make, (records) => {
    let active = 0
    let isDraining = false
    const leave = Effect.sync(() => {
      active--
    })
    return Router.of({
      active: () => active,
      draining: () => isDraining,
      drain: Effect.sync(() => {
        isDraining = true
      }),
      route: (request, reply) =>
        Effect.suspend(() => {
          active++
          const answered = Effect.suspend(() => isDraining ? draining : route(request, reply))
          return Effect.ensuring(records.around(request, reply, settled(answered, reply)), leave)
        }),
      refused: records.refused,
    })
  })

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
      onSuccess: (last) => {
        const { attempt } = last
        if (attempt._tag === "Answered") return settledWith("answered", attempt.status, undefined, last)
        if (attempt.answer === undefined || attempt.outcome.cause !== notOffered.cause) return refused(failed, last)
        HeldAnswer.send(reply, attempt.answer)
        return settledWith("answered", attempt.answer.status, undefined, last)
      },
    }),
  )
}

const failed = refuse("BackendFailed", "the backend failed before it answered", { retryAfter: 1 })
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

/**
 * The model that a request names. Fails with `BadRequest` (400) where Ollama could not read the name, with
 * `ModelNotFound` (404) where no backend has the model, with `Forbidden` (403) where only ollama.com could have it, and
 * with `NoBackend` (503, `Retry-After` 5 seconds) where no backend could be asked.
 *
 * @category lookups
 * @since 0.1.0
 */
export const find = (catalog: ModelCatalog["Service"], request: RoutedRequest): Effect.Effect<Model, Refusal> => {
  const { model } = request.envelope
  const known = catalog.peek(model)
  if (known !== undefined) return Effect.succeed(known)
  const wrong = misnamed(request.endpoint, model)
  if (wrong !== undefined) return Effect.fail(wrong)
  return Effect.mapError(catalog.find(model), (error) => notFound(error, model))
}

/**
 * What a request asks for, of admission, placement and leases. `promptTokens` is the estimated length of the prompt, in
 * tokens; it defaults to a quarter of the prompt's bytes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const demandOf = (
  request: RoutedRequest,
  model: Model,
  promptTokens: number = Math.ceil(request.envelope.promptBytes / 4),
): Demand => Demands.demandOf(request, model, promptTokens, request.envelope.numCtx)

/**
 * One attempt: sends the request to the backend of a lease, and releases the lease with the outcome. The body is sent
 * as it is, the headers without the client's credentials.
 *
 * @category combinators
 * @since 0.1.0
 */
export const send = (
  relay: Relay["Service"],
  lease: Lease,
  request: RoutedRequest,
  reply: ReplySink,
): Effect.Effect<LastAttempt> =>
  Effect.gen(function* () {
    const { body, endpoint, id, receivedAt } = request
    const now = yield* Clock.currentTimeMillis
    const trace = yield* BaseRecords.CurrentTrace
    const headers = forwardHeaders(request.headers, id)
    if (trace !== undefined) TracedAttempts.sent(trace, lease.backend, headers, now)
    const call = { method: "POST", path: endpoint.upstreamPath, headers, body }
    const expect = { streams: streams(request), streamEnd: endpoint.streamEnd }
    const attempt = yield* relay.run(lease, call, expect, reply)
    const { firstByteMillis } = attempt.outcome
    const firstByteAt = firstByteMillis === undefined ? undefined : now + firstByteMillis
    TracedAttempts.ended(trace, lease.backend.id, attempt.outcome, firstByteAt, yield* Clock.currentTimeMillis)
    return { attempt, backend: lease.backend.id, queuedMillis: now - receivedAt }
  })
