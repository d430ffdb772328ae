import { it } from "@effect/vitest"
import { Effect, Layer, type Scope } from "effect"
import { backend } from "../../src/services/Fleet.ts"
import { Transport, type TransportError, type Upstream } from "../../src/services/Transport.ts"
import * as SimulatedFleet from "../../src/layers/SimulatedFleet.ts"
import * as SimulatedTransport from "../../src/layers/SimulatedTransport.ts"

/** On loopback, where Ollama looks at `Host`. */
export const url = "http://127.0.0.1:11434"

/** One server at `url`, its transport, and its handle. */
export const layer = (options: SimulatedFleet.ServerOptions = {}) =>
  SimulatedTransport.layer.pipe(Layer.provideMerge(SimulatedFleet.layer({ [url]: options })))

export const server = Effect.map(SimulatedFleet.SimulatedFleet, ({ get }) => get(url))

/** What a sink has heard so far. */
export interface Heard {
  status: number | undefined
  headers: Record<string, string>
  raw: ReadonlyArray<string>
  text: string
  readonly chunks: Array<string>
  over: "end" | "fail" | undefined
  error: TransportError | undefined
  upstream: Upstream | undefined
}

/** Sends one call and gives back what the sink hears, as it hears it. */
export const send = (
  path: string,
  body?: unknown,
  options: { readonly method?: string; readonly headers?: ReadonlyArray<string>; readonly url?: string } = {},
): Effect.Effect<Heard, never, Transport> =>
  Effect.map(Transport, (transport) => {
    const decoder = new TextDecoder()
    const heard: Heard = {
      status: undefined,
      headers: {},
      raw: [],
      text: "",
      chunks: [],
      over: undefined,
      error: undefined,
      upstream: undefined,
    }
    const bytes = body === undefined
      ? undefined
      : body instanceof Uint8Array
      ? body
      : new TextEncoder().encode(typeof body === "string" ? body : JSON.stringify(body))
    transport.send(backend(options.url ?? url), {
      method: options.method ?? (body === undefined ? "GET" : "POST"),
      path,
      headers: options.headers ?? [],
      body: bytes,
    }, {
      open: (upstream) => void (heard.upstream = upstream),
      head: (status, raw) => {
        heard.status = status
        heard.raw = raw
        for (let index = 0; index + 1 < raw.length; index += 2) {
          heard.headers[raw[index]!.toLowerCase()] = raw[index + 1]!
        }
      },
      data: (chunk) => {
        const text = decoder.decode(chunk, { stream: true })
        heard.text += text
        heard.chunks.push(text)
      },
      end: () => void (heard.over = "end"),
      fail: (error) => {
        heard.over = "fail"
        heard.error = error
      },
    })
    return heard
  })

/** The names in `/api/ps`. */
export const ps = Effect.map(send("/api/ps"), ({ text }) => {
  const { models } = JSON.parse(text) as {
    models: Array<{ name: string; size: number; size_vram: number; context_length: number; expires_at: string }>
  }
  return models
})

export const lines = (heard: Heard): Array<Record<string, unknown>> =>
  heard.text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line))

type Needs = Transport | SimulatedFleet.SimulatedFleet | Scope.Scope

/** A test with one server at `url`, on the test clock. */
export const on = (
  name: string,
  options: SimulatedFleet.ServerOptions,
  body: () => Generator<Effect.Effect<unknown, unknown, Needs>, void, never>,
) => it.effect(name, () => Effect.provide(Effect.gen(body), layer(options)))
