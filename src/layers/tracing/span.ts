/**
 * Spans as OTLP has them.
 *
 * @since 0.1.0
 */
import { OtlpResource, type OtlpTracer } from "effect/observability"

/** A span as Effect's serializers take it. Only its protobuf one states `traceState`, which both write. @internal */
export type Span = OtlpTracer.TraceData["resourceSpans"][number]["scopeSpans"][number]["spans"][number] & {
  readonly traceState?: string | undefined
}

/** Values of attributes by name; those that are `undefined` are left out. @internal */
export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>

/** @internal */
export const kinds = { internal: 1, server: 2, client: 3 } as const

/** Something at one moment, in milliseconds since 1970. @internal */
export interface Moment {
  readonly name: string
  readonly at: number
  readonly attributes?: Attributes | undefined
}

/** Another span that belongs to a span. @internal */
export interface Related {
  readonly traceId: string
  readonly spanId: string
}

/** What `make` puts together. Times are milliseconds since 1970. @internal */
export interface Parts extends Related {
  readonly parentId: string | undefined
  readonly state: string | undefined
  readonly name: string
  readonly kind: keyof typeof kinds
  readonly from: number
  readonly to: number
  readonly attributes?: Attributes | undefined
  readonly events?: ReadonlyArray<Moment> | undefined
  readonly links?: ReadonlyArray<Related> | undefined
  /** What went wrong, if something did. */
  readonly error?: string | undefined
}

const nanos = (millis: number): string => millis === 0 ? "0" : `${Math.round(millis)}000000`

const listed = (attributes: Attributes = {}): Array<OtlpResource.KeyValue> => {
  const found: Array<OtlpResource.KeyValue> = []
  for (const key in attributes) {
    const value = attributes[key]
    if (value !== undefined) found.push({ key, value: OtlpResource.unknownToAttributeValue(value) })
  }
  return found
}

/** @internal */
export const make = (
  { attributes, error, events = [], from, kind, links = [], name, parentId, spanId, state, to, traceId }: Parts,
): Span => ({
  traceId,
  spanId,
  parentSpanId: parentId,
  ...(state === undefined ? {} : { traceState: state }),
  name,
  kind: kinds[kind],
  startTimeUnixNano: nanos(from),
  endTimeUnixNano: nanos(Math.max(from, to)),
  attributes: listed(error === undefined ? attributes : { ...attributes, "error.type": error }),
  droppedAttributesCount: 0,
  events: events.map(({ at, attributes, name }) => ({
    name,
    timeUnixNano: nanos(at),
    attributes: listed(attributes),
    droppedAttributesCount: 0,
  })),
  droppedEventsCount: 0,
  // A span is never set to "ok": that is for the application, and no error is what "unset" says.
  status: error === undefined ? { code: 0 } : { code: 2, message: error },
  links: links.map((link) => ({ ...link, attributes: [], droppedAttributesCount: 0 })),
  droppedLinksCount: 0,
})
