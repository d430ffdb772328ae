/**
 * What a router that is made with `RouterBase` tells of its requests: an event, where there are events, and a trace,
 * where there is tracing.
 *
 * @since 0.1.0
 */
import { Clock, Context, Effect, Exit, Option } from "effect"
import type { ModelCatalog as Catalog } from "../../services/ModelCatalog.ts"
import { ModelCatalog } from "../../services/ModelCatalog.ts"
import { clientGone } from "../../services/Outcome.ts"
import type { Refused } from "../../services/Refused.ts"
import type { ReplySink } from "../../services/Reply.ts"
import type { RoutedRequest } from "../../services/RoutedRequest.ts"
import type { Settled } from "../../services/Router.ts"
import { type RequestSettled, type RouterEvent, RouterEvents } from "../../services/RouterEvents.ts"
import type { Trace } from "../../services/Trace.ts"
import { Tracing } from "../../services/Tracing.ts"
import * as RefusedEvent from "./refusedEvent.ts"
import * as TracedAttempts from "./tracedAttempts.ts"

/** The trace of the request that a fiber routes. @internal */
export const CurrentTrace = Context.Reference<Trace | undefined>("llamero/layers/router/baseRecords/CurrentTrace", {
  defaultValue: () => undefined,
})

const left: Settled = {
  result: "canceled",
  status: 499,
  refusal: undefined,
  outcome: clientGone,
  backend: undefined,
  attempts: 0,
  queuedMillis: 0,
}

const record = (
  request: RoutedRequest,
  reply: ReplySink,
  catalog: Option.Option<Catalog["Service"]>,
  settled: Settled,
  trace: Trace | undefined,
  now: number,
): RequestSettled => {
  const { arrivedAt, body, endpoint, envelope, grant, id, receivedAt, tenant } = request
  const model = Option.getOrUndefined(catalog)?.peek(envelope.model)
  const hasLease = settled.attempts > 0
  return {
    _tag: "RequestSettled",
    at: now,
    id,
    route: endpoint.path,
    kind: endpoint.kind,
    asked: envelope.model,
    model: model?.key ?? envelope.model,
    known: model !== undefined,
    tenant,
    settled,
    totalMillis: now - receivedAt,
    bytesIn: body.length,
    bytesOut: reply.bytes,
    arrivedAt,
    receivedAt,
    leasedAt: hasLease ? receivedAt + settled.queuedMillis : undefined,
    firstByteAt: trace?.attempts.at(-1)?.firstByteAt,
    trace,
    keyed: grant !== undefined,
  }
}

/** @internal */
export interface BaseRecords {
  /** Routes a request in its trace, and tells of its end. */
  readonly around: (request: RoutedRequest, reply: ReplySink, routing: Effect.Effect<Settled>) => Effect.Effect<Settled>
  /** Tells of a request that a server has refused. */
  readonly refused: (request: Refused) => void
}

/** Reads what there is in the context: none of it is needed. @internal */
export const make: Effect.Effect<BaseRecords> = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const catalog = yield* Effect.serviceOption(ModelCatalog)
  const events = Option.getOrUndefined(yield* Effect.serviceOption(RouterEvents))
  const tracing = yield* Tracing
  const tell = (event: RouterEvent): void => {
    events?.publish(event)
    tracing?.take(event)
  }
  const isHeard = events !== undefined || tracing !== undefined

  const ended = (
    request: RoutedRequest,
    reply: ReplySink,
    trace: Trace | undefined,
    exit: Exit.Exit<Settled>,
  ): void => {
    const now = clock.currentTimeMillisUnsafe()
    const settled = Exit.isSuccess(exit) ? exit.value : left
    if (trace !== undefined) TracedAttempts.endAll(trace, undefined, settled.outcome, undefined, now)
    tell(record(request, reply, catalog, settled, trace, now))
  }
  return {
    around: (request, reply, routing) => {
      if (!isHeard) return routing
      const trace = tracing?.begin(request)
      const inTrace = trace === undefined ? routing : Effect.provideService(routing, CurrentTrace, trace)
      return Effect.onExit(inTrace, (exit) => Effect.sync(() => ended(request, reply, trace, exit)))
    },
    refused: (request) => {
      if (isHeard) tell(RefusedEvent.make(request, clock, tracing))
    },
  }
})
