/**
 * The series that a request is counted in. They are found by its model, its route and its backend, without a new
 * object.
 *
 * @since 0.1.0
 */
import type { Context } from "effect"
import { Labelled, Series, SeriesWithExemplars } from "../../support/metricSeries.ts"
import { SweptMap } from "../../support/sweptMap.ts"
import type { RequestSettled } from "../../services/RouterEvents.ts"
import * as Definitions from "./metricDefinitions.ts"

type Metrics = Context.Context<never>
type Result = RequestSettled["settled"]["result"]

const results: ReadonlyArray<Result> = ["answered", "refused", "canceled"]

/** The series of a model on a route. */
class OfRoute {
  readonly duration: SeriesWithExemplars
  private readonly labels: { readonly route: string; readonly model: string }
  private readonly context: Metrics
  /** By result and class of the status. */
  private readonly requests: Array<Series | undefined> = new Array(results.length * 10).fill(undefined)

  constructor(route: string, model: string, context: Metrics) {
    this.labels = { route, model }
    this.context = context
    this.duration = new SeriesWithExemplars(Definitions.duration, this.labels, context)
  }

  /** Counts a request. */
  settled(result: Result, status: number): void {
    const hundreds = Math.floor(status / 100)
    const index = results.indexOf(result) * 10 + hundreds
    let series = this.requests[index]
    if (series === undefined) {
      series = new Series(Definitions.requests, { ...this.labels, result, status: `${hundreds}xx` }, this.context)
      this.requests[index] = series
    }
    series.add(1)
  }

  remove(): void {
    this.duration.remove()
    for (const series of this.requests) series?.remove()
  }
}

/** The series of a model on a backend. */
class OfBackend {
  readonly firstByte: SeriesWithExemplars
  readonly time: Series
  readonly gap: Series

  constructor(model: string, backend: string, context: Metrics) {
    const labels = { model, backend }
    this.firstByte = new SeriesWithExemplars(Definitions.firstByte, labels, context)
    this.time = new Series(Definitions.backendTime, labels, context)
    this.gap = new Series(Definitions.gap, labels, context)
  }

  remove(): void {
    for (const series of [this.firstByte, this.time, this.gap]) series.remove()
  }
}

/** The series of a model for a tenant. */
class OfTenant {
  readonly cost: Series
  readonly requests: Series
  readonly tokens: Labelled

  constructor(model: string, tenant: string, context: Metrics) {
    const labels = { model, tenant }
    this.cost = new Series(Definitions.tenantCost, labels, context)
    this.requests = new Series(Definitions.tenantRequests, labels, context)
    this.tokens = new Labelled(Definitions.tenantTokens, labels, "type", context)
  }

  remove(): void {
    for (const series of [this.cost, this.requests, this.tokens]) series.remove()
  }
}

const dropped = { dropped: (series: { readonly remove: () => void }) => series.remove() }

/** The series of a model. @category models @since 0.1.0 */
export class OfModel {
  readonly wait: Series
  readonly loadWait: Series
  readonly cold: Series
  readonly retries: Series
  readonly coalesced: Labelled
  readonly sheds: Labelled
  readonly tokens: Labelled
  readonly tokenRate: Series
  private readonly model: string
  private readonly context: Metrics
  /** Routes are a fixed set. */
  private readonly routes = new Map<string, OfRoute>()
  private readonly backends = new SweptMap<OfBackend>(dropped)
  private readonly tenants = new SweptMap<OfTenant>(dropped)

  constructor(model: string, context: Metrics) {
    this.model = model
    this.context = context
    const labels = { model }
    this.wait = new Series(Definitions.wait, labels, context)
    this.loadWait = new Series(Definitions.loadWait, labels, context)
    this.cold = new Series(Definitions.cold, labels, context)
    this.retries = new Series(Definitions.retries, labels, context)
    this.coalesced = new Labelled(Definitions.coalesced, labels, "how", context)
    this.sheds = new Labelled(Definitions.sheds, labels, "reason", context)
    this.tokens = new Labelled(Definitions.tokens, labels, "type", context)
    this.tokenRate = new Series(Definitions.tokenRate, labels, context)
  }

  route(route: string): OfRoute {
    let known = this.routes.get(route)
    if (known === undefined) this.routes.set(route, known = new OfRoute(route, this.model, this.context))
    return known
  }

  backend(backend: string): OfBackend {
    const known = this.backends.get(backend)
    if (known !== undefined) return known
    const made = new OfBackend(this.model, backend, this.context)
    this.backends.set(backend, made)
    return made
  }

  tenant(tenant: string): OfTenant {
    const known = this.tenants.get(tenant)
    if (known !== undefined) return known
    const made = new OfTenant(this.model, tenant, this.context)
    this.tenants.set(tenant, made)
    return made
  }

  remove(): void {
    const { coalesced, cold, loadWait, retries, sheds, tokenRate, tokens, wait } = this
    for (const series of [wait, loadWait, cold, retries, coalesced, sheds, tokens, tokenRate]) series.remove()
    for (const all of [this.routes, this.backends, this.tenants]) for (const series of all.values()) series.remove()
  }
}

/** All series that requests are counted in. @category models @since 0.1.0 */
export class RequestSeries {
  private readonly context: Metrics
  private readonly models = new SweptMap<OfModel>(dropped)
  private readonly attempts = new SweptMap<Labelled>(dropped)
  private readonly routing = new Map<string, SeriesWithExemplars>()

  constructor(context: Metrics) {
    this.context = context
  }

  model(model: string): OfModel {
    const known = this.models.get(model)
    if (known !== undefined) return known
    const made = new OfModel(model, this.context)
    this.models.set(model, made)
    return made
  }

  /** Counts an attempt. */
  attempted(backend: string, outcome: string): void {
    let known = this.attempts.get(backend)
    if (known === undefined) {
      known = new Labelled(Definitions.attempts, { backend }, "outcome", this.context)
      this.attempts.set(backend, known)
    }
    known.add(outcome, 1)
  }

  /** What the router itself adds on a route. */
  routed(route: string): SeriesWithExemplars {
    let known = this.routing.get(route)
    if (known === undefined) {
      known = new SeriesWithExemplars(Definitions.routing, { route }, this.context)
      this.routing.set(route, known)
    }
    return known
  }
}
