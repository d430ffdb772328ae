/**
 * Counters and histograms of the router. They are fed from its events, so that they cost a request nothing.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect, Layer } from "effect"
import * as Live from "../../services/Live.ts"
import { defaultTenant } from "../../services/RoutedRequest.ts"
import { isShed } from "../../services/Refusal.ts"
import { type Hedged, type RequestSettled, type RouterEvent, RouterEvents } from "../../services/RouterEvents.ts"
import { rare } from "../../support/metricSeries.ts"
import * as Definitions from "./metricDefinitions.ts"
import * as EventLoop from "./eventLoop.ts"
import { type OfModel, RequestSeries } from "./requestSeries.ts"

type Rare = ReturnType<typeof makeRare>

interface All {
  /** Tenants that are counted by name, besides those of API keys. */
  readonly tenants: Live.Live<ReadonlySet<string>>
  readonly requests: RequestSeries
  readonly rare: Rare
}

const makeRare = (context: Parameters<typeof rare>[1]) => ({
  hedges: rare(Definitions.hedges, context),
  loads: rare(Definitions.loads, context),
  loading: rare(Definitions.loading, context),
  shadows: rare(Definitions.shadows, context),
  spills: rare(Definitions.spills, context),
  rewrites: rare(Definitions.rewrites, context),
  breaker: rare(Definitions.breaker, context),
  health: rare(Definitions.health, context),
  reloads: rare(Definitions.reloads, context),
})

/**
 * The attempts of a request that failed have an event each. This counts the last one, which answered or which the
 * client left.
 */
const countLastAttempt = ({ requests }: All, { settled }: RequestSettled): void => {
  const { backend, coalesced, outcome, result } = settled
  if (backend === undefined || coalesced !== undefined) return
  if (result === "answered" && outcome !== undefined) requests.attempted(backend, outcome.cause)
  // A client that left while a retry was waiting: the outcome is that of the attempt before, which had its own event.
  if (result === "canceled" && outcome === undefined) requests.attempted(backend, "client-gone")
}

/** What the backend has reported of its answer. */
const countAnswer = (ofModel: OfModel, event: RequestSettled): void => {
  const { backend, outcome } = event.settled
  if (backend === undefined || outcome === undefined || outcome.firstByteMillis === undefined) return
  const { firstByteMillis, longestGapMillis, totalMillis, usage } = outcome
  const ofBackend = ofModel.backend(backend)
  ofBackend.firstByte.observe(firstByteMillis / 1000, event.at, event.id, event.trace)
  if (totalMillis !== undefined) ofBackend.time.add(totalMillis / 1000)
  if (longestGapMillis !== undefined) ofBackend.gap.add(longestGapMillis / 1000)
  if (usage === undefined) return
  if (usage.promptTokens !== undefined) ofModel.tokens.add("in", usage.promptTokens)
  if (usage.answerTokens === undefined) return
  ofModel.tokens.add("out", usage.answerTokens)
  // The first token comes with the first byte. An answer that comes in one piece says nothing about its rate.
  const millis = totalMillis === undefined ? 0 : totalMillis - firstByteMillis
  if (millis > 0 && usage.answerTokens > 1) ofModel.tokenRate.add((usage.answerTokens - 1) / millis * 1000)
}

/** Tenants that clients name freely share one label: it could be any text. */
const countCost = ({ tenants }: All, ofModel: OfModel, event: RequestSettled, cost: number): void => {
  const tenant = event.keyed === true || tenants.now.has(event.tenant) ? event.tenant : "other"
  const ofTenant = ofModel.tenant(tenant)
  const { answerTokens, promptTokens } = event.settled.outcome?.usage ?? {}
  ofTenant.cost.add(cost)
  ofTenant.requests.add(1)
  if (promptTokens !== undefined) ofTenant.tokens.add("in", promptTokens)
  if (answerTokens !== undefined) ofTenant.tokens.add("out", answerTokens)
}

const countRequest = (all: All, event: RequestSettled): void => {
  const { attempts, coalesced: how, queuedMillis, refusal, result, status } = event.settled
  // An unknown name was chosen by the client. As a label it would let a client fill the registry.
  const ofModel = all.requests.model(event.known ? event.model : "unknown")
  const ofRoute = ofModel.route(event.route)
  ofRoute.settled(result, status)
  // An unknown model is refused at once. Its durations would say nothing, and take a series for each bucket.
  if (event.known) ofRoute.duration.observe(event.totalMillis / 1000, event.at, event.id, event.trace)
  if (attempts > 0) ofModel.wait.add(queuedMillis / 1000)
  if (how !== undefined) ofModel.coalesced.add(how, 1)
  else countAnswer(ofModel, event)
  if (event.cold === true) {
    ofModel.cold.add(1)
    if (attempts > 0) ofModel.loadWait.add(queuedMillis / 1000)
  }
  if (event.rewrote !== undefined) { for (const field of event.rewrote) all.rare.rewrites(1, { field }) }
  if (attempts > 1) ofModel.retries.add(attempts - 1)
  const evicted = refusal?.reason === "DeadlineExceeded" && attempts === 0
  if (refusal !== undefined && (isShed(refusal) || evicted)) ofModel.sheds.add(refusal.reason, 1)
  if (event.cost !== undefined) countCost(all, ofModel, event, event.cost)
  if (event.routingMillis !== undefined) {
    all.requests.routed(event.route).observe(event.routingMillis / 1000, event.at, event.id, event.trace)
  }
  countLastAttempt(all, event)
}

const countHedge = ({ rare, requests }: All, { aborted, model, result }: Hedged): void => {
  rare.hedges(1, { model, result })
  if (aborted !== undefined) requests.attempted(aborted, result === "canceled" ? "client-gone" : "hedged")
}

const count = (all: All, event: RouterEvent): void => {
  const { rare, requests } = all
  switch (event._tag) {
    case "RequestSettled":
      return countRequest(all, event)
    case "AttemptFailed":
      return requests.attempted(event.backend, event.cause)
    case "Hedged":
      return countHedge(all, event)
    case "HealthChanged":
      return rare.health(1, { backend: event.change.backend, to: event.change.status.state })
    case "BreakerMoved": {
      const { key, to } = event.transition
      return rare.breaker(1, { backend: key.backend, model: key.model ?? "", to })
    }
    case "LoadEnded": {
      const { backend, error, millis, model, spilled } = event.load
      const result = error !== undefined ? "failure" : spilled === true ? "spill" : "success"
      rare.loads(1, { backend, model, result })
      if (result === "success") rare.loading(millis / 1000, { backend, model })
      return
    }
    case "Shadowed":
      return rare.shadows(1, { model: event.model, result: event.result, shadow: event.shadow })
    case "AdminChanged":
      if (event.action === "reload") rare.reloads(1, { result: event.result })
      return
    case "Placed":
    case "RequestRefused":
      return
    case "ModelSpilled":
      return rare.spills(1, { backend: event.spill.backend, model: event.spill.model })
  }
}

const make = Effect.fnUntraced(function* (tenants: Live.Live<ReadonlyArray<string>>) {
  const events = yield* RouterEvents
  const context = yield* Effect.context<never>()
  const all: All = {
    tenants: Live.map(tenants, (named) => new Set([defaultTenant, ...named])),
    requests: new RequestSeries(context),
    rare: makeRare(context),
  }
  yield* events.subscribe((event) => count(all, event))
  yield* EventLoop.watch(Duration.millis(500), yield* Clock.Clock, context)
})

/**
 * Keeps the `llamero_*` counters and histograms in the `MetricRegistry` that the layer is built with. `/metrics` and
 * all other exporters of Effect read them there.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, never, RouterEvents> = Layer.effectDiscard(
  make(Live.of<ReadonlyArray<string>>([])),
)

/**
 * As `layer`, and counts what these tenants cost under their names, as it does for tenants of API keys. All other
 * tenants are counted together, as `other`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNaming = (
  tenants: Live.Input<ReadonlyArray<string>>,
): Layer.Layer<never, never, RouterEvents> => Layer.effectDiscard(make(Live.of(tenants)))
