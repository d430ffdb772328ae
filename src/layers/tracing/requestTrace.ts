/**
 * The trace of one request. Most requests are not sampled, so their ids are made only if they are exported after all.
 *
 * @since 0.1.0
 */
import type { Trace, TracedAttempt } from "../../services/Trace.ts"
import * as Context from "../../wire/traceContext.ts"
import * as Ids from "./ids.ts"
import type { Sampler } from "./sampler.ts"

/** What the requests of one request's trace have in common. */
class Place {
  readonly sampled: boolean
  readonly parent: Context.TraceContext | undefined
  private readonly source: Ids.Source
  private readonly number: number
  private readonly headers: ReadonlyArray<string>
  private state: string | null | undefined = null
  private trace: string | undefined = undefined
  private span: string | undefined = undefined

  constructor(
    headers: ReadonlyArray<string>,
    parent: Context.TraceContext | undefined,
    number: number,
    sampled: boolean,
    source: Ids.Source,
  ) {
    this.headers = headers
    this.parent = parent
    this.number = number
    this.sampled = sampled
    this.source = source
  }

  traceId(): string {
    return this.trace ??= this.parent?.traceId ?? Ids.trace(this.source, this.number)
  }

  spanId(): string {
    return this.span ??= Ids.span(this.source)
  }

  /** Read only if the request is exported. */
  traceState(): string | undefined {
    if (this.state === null) this.state = this.parent === undefined ? undefined : Context.state(this.headers)
    return this.state
  }

  newSpan(): string {
    return Ids.span(this.source)
  }
}

const none: ReadonlyArray<TracedAttempt> = []

/** @internal */
export class RequestTrace implements Trace {
  attempts: ReadonlyArray<TracedAttempt> = none
  private readonly place: Place

  constructor(place: Place) {
    this.place = place
  }
  add(attempt: TracedAttempt): void {
    // Most requests have one. A list that grows would have room for 17.
    this.attempts = this.attempts.length === 0 ? [attempt] : [...this.attempts, attempt]
  }
  get sampled(): boolean {
    return this.place.sampled
  }
  get traceId(): string {
    return this.place.traceId()
  }
  get spanId(): string {
    return this.place.spanId()
  }
  get parentId(): string | undefined {
    return this.place.parent?.spanId
  }
  get state(): string | undefined {
    return this.place.traceState()
  }
  spanOf(attempt: TracedAttempt): string {
    return attempt.spanId ??= this.place.newSpan()
  }
  traceparent(attempt: TracedAttempt): string {
    return Context.traceparent(this.traceId, this.spanOf(attempt), this.place.parent?.random ?? true)
  }
  shared(): Trace {
    return new RequestTrace(this.place)
  }
}

/** Makes the function that begins traces, from the headers of requests. @internal */
export const beginner = (sampler: Sampler, source: Ids.Source) => (headers: ReadonlyArray<string>): Trace => {
  const parent = Context.read(headers)
  const number = source()
  return new RequestTrace(new Place(headers, parent, number, sampler(parent, number), source))
}
