/** A collector that decodes OTLP/JSON, and a router that is traced, over a simulated fleet. */
import { Effect, Layer, Random } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import * as SynchronousRouterEvents from "../../../src/layers/events/SynchronousRouterEvents.ts"
import * as StaticFleet from "../../../src/layers/fleet/StaticFleet.ts"
import * as Standard from "../../../src/layers/Standard.ts"
import * as OtlpTracing from "../../../src/layers/tracing/OtlpTracing.ts"
import type { Fleet } from "../../../src/services/Fleet.ts"
import { Transport } from "../../../src/services/Transport.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import * as SimulatedOllamaApi from "../../../src/simulated/SimulatedOllamaApi.ts"
import * as SimulatedTransport from "../../../src/simulated/SimulatedTransport.ts"
import { SeededRandom } from "../../../src/testing/faults/seededRandom.ts"
import { url } from "../../support/routers.ts"

/** A span as a collector has it. Times are milliseconds. */
export interface Seen {
  readonly traceId: string
  readonly spanId: string
  readonly parent: string | undefined
  readonly state: string | undefined
  readonly name: string
  readonly kind: number
  readonly from: number
  readonly to: number
  readonly attributes: Readonly<Record<string, unknown>>
  readonly events: ReadonlyArray<{ readonly name: string; readonly at: number }>
  readonly links: ReadonlyArray<string>
  readonly status: number
}

// deno-lint-ignore no-explicit-any
type Json = Readonly<Record<string, any>>

const valuesOf = (list: ReadonlyArray<Json>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(list.map(({ key, value }) => [key, Object.values(value)[0]]))
const millis = (nanos: string): number => Number(BigInt(nanos) / 1_000_000n)

const seen = (span: Json): Seen => ({
  traceId: span["traceId"],
  spanId: span["spanId"],
  parent: span["parentSpanId"],
  state: span["traceState"],
  name: span["name"],
  kind: span["kind"],
  from: millis(span["startTimeUnixNano"]),
  to: millis(span["endTimeUnixNano"]),
  attributes: valuesOf(span["attributes"]),
  events: span["events"].map((event: Json) => ({ name: event["name"], at: millis(event["timeUnixNano"]) })),
  links: span["links"].map((link: Json) => `${link["traceId"]} ${link["spanId"]}`),
  status: span["status"]["code"],
})

/** What one export says: the attributes of the process, and its spans. */
export const decode = (body: string) => {
  const { resourceSpans } = JSON.parse(body)
  return {
    resource: valuesOf(resourceSpans[0].resource.attributes),
    spans: resourceSpans[0].scopeSpans[0].spans.map(seen) as ReadonlyArray<Seen>,
  }
}

export class Collector {
  readonly spans: Array<Seen> = []
  readonly headers: Array<Readonly<Record<string, string | undefined>>> = []
  readonly urls: Array<string> = []
  resource: Readonly<Record<string, unknown>> = {}
  /** Requests so far, answered or not. */
  asked = 0
  under = 0
  /** The most requests at one time. */
  most = 0
  /** What it answers. */
  answer: Effect.Effect<number> = Effect.succeed(200)

  get client(): Layer.Layer<HttpClient.HttpClient> {
    return Layer.succeed(
      HttpClient.HttpClient,
      HttpClient.make((request, at) =>
        Effect.gen({ self: this }, function* () {
          this.asked++
          this.most = Math.max(this.most, ++this.under)
          const status = yield* Effect.ensuring(this.answer, Effect.sync(() => this.under--))
          if (status === 200 && request.body._tag === "Uint8Array") {
            const { resource, spans } = decode(new TextDecoder().decode(request.body.body))
            this.resource = resource
            this.spans.push(...spans)
            this.headers.push(request.headers)
            this.urls.push(at.href)
          }
          return HttpClientResponse.fromWeb(request, new Response("{}", { status }))
        })
      ),
    )
  }

  named(name: string | RegExp): ReadonlyArray<Seen> {
    return this.spans.filter((span) => typeof name === "string" ? span.name === name : name.test(span.name))
  }

  one(name: string | RegExp): Seen {
    const found = this.named(name)
    if (found.length !== 1) {
      throw new Error(`${found.length} spans are named ${name}: ${this.spans.map((one) => one.name)}`)
    }
    return found[0]!
  }
}

/** A call as a backend got it. */
export interface Heard {
  readonly backend: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

const byName = (raw: ReadonlyArray<string>): Readonly<Record<string, string>> =>
  Object.fromEntries(raw.flatMap((text, i) => i % 2 === 0 ? [[text.toLowerCase(), raw[i + 1] ?? ""]] : []))

const hearing = (heard: Array<Heard>) =>
  Layer.effect(
    Transport,
    Effect.map(Transport, ({ send }) => ({
      send: (...[backend, call, to]: Parameters<typeof send>) => {
        heard.push({ backend: backend.id, path: call.path, headers: byName(call.headers ?? []) })
        send(backend, call, to)
      },
    })),
  ).pipe(Layer.provide(SimulatedTransport.layer))

const seeded = (seed: number) => {
  const random = new SeededRandom(seed)
  return Layer.succeed(Random.Random, {
    nextDoubleUnsafe: () => random.next(),
    nextIntUnsafe: () => random.between(0, 2 ** 31),
  })
}

/** A standard router over simulated servers named by id; `tracing` is `false` for none. */
export const traced = (
  servers: Readonly<Record<string, SimulatedFleet.ServerOptions>>,
  tracing: Partial<OtlpTracing.Options> | false = {},
  swaps: Parameters<typeof Standard.layer>[0] = {},
) => {
  const collector = new Collector()
  const heard: Array<Heard> = []
  const ids = Object.keys(servers)
  const on = OtlpTracing.layer({ url: "http://collector:4318/v1/traces", protocol: "http/json", ...(tracing || {}) })
    .pipe(
      Layer.provide(collector.client),
      Layer.provide(seeded(7)),
    )
  const layer = Standard.layer({ events: SynchronousRouterEvents.layer, ...swaps }).pipe(
    Layer.provide(tracing === false ? Layer.empty : on),
    Layer.provideMerge(Layer.merge(hearing(heard), SimulatedOllamaApi.layer)),
    Layer.provideMerge(StaticFleet.layer(ids.map((id) => ({ url: url(id), id })))),
    Layer.provideMerge(SimulatedFleet.layer(Object.fromEntries(ids.map((id) => [url(id), servers[id]!])))),
  ) as Layer.Layer<Fleet | SimulatedFleet.SimulatedFleet | Standard.Provides | Transport>
  return { collector, heard, layer }
}
