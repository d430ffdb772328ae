import { it } from "@effect/vitest"
import { Effect, Layer, type Scope } from "effect"
import { backend } from "../../src/services/Fleet.ts"
import { Transport, type TransportError, type Upstream } from "../../src/services/Transport.ts"
import { Model } from "../../src/simulated/SimulatedFleet.ts"
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"
import * as SimulatedTransport from "../../src/simulated/SimulatedTransport.ts"

/** On loopback, because Ollama checks `Host` only there. */
export const url = "http://127.0.0.1:11434"

/** One server at `url`, its transport, and its handle. */
export const layer = (options: SimulatedFleet.ServerOptions = {}) =>
  SimulatedTransport.layer.pipe(Layer.provideMerge(SimulatedFleet.layer({ [url]: options })))

export const server = Effect.map(SimulatedFleet.SimulatedFleet, ({ get }) => get(url))

/** What a sink has received so far. */
export interface Heard {
  status: number | undefined
  headers: Record<string, string>
  raw: ReadonlyArray<string>
  text: string
  readonly chunks: Array<string>
  over: "end" | "fail" | undefined
  error: TransportError | undefined
  upstream: Upstream | undefined
  /** Calls of the sink in the wrong order. */
  readonly misuse: Array<string>
}

/** Sends one call and returns what the sink receives, as it comes. */
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
      misuse: [],
    }
    const expect = (holds: boolean, what: string) => {
      if (!holds || heard.over !== undefined) heard.misuse.push(what)
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
        expect(heard.upstream !== undefined && heard.status === undefined, "head")
        heard.status = status
        heard.raw = raw
        for (let index = 0; index + 1 < raw.length; index += 2) {
          heard.headers[raw[index]!.toLowerCase()] = raw[index + 1]!
        }
      },
      data: (chunk) => {
        expect(heard.status !== undefined, "data")
        const text = decoder.decode(chunk, { stream: true })
        heard.text += text
        heard.chunks.push(text)
      },
      end: () => {
        expect(heard.status !== undefined, "end")
        heard.over = "end"
      },
      fail: (error) => {
        expect(true, "fail")
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

export const gib = 1024 ** 3
export const names = Effect.map(ps, (models) => models.map(({ name }) => name).sort())

/** A request whose prompt takes the time of `tokens` tokens. */
export const ask = (model: string, tokens = 1, more: object = {}, options: object = {}) =>
  send("/api/generate", { model, prompt: "hi", options: { num_predict: tokens, ...options }, ...more })

export const load = (model: string, more: object = {}) => send("/api/generate", { model, ...more })

export const started = (heard: Heard): boolean => heard.status === 200

/** A model that fits twice into 80 % of 24 GiB, and not three times. */
export const middling = (name: string) =>
  Model.model({ name, size: 9 * gib, blocks: 32, overhead: 0, blob: Model.sha256(name), contextTrained: 4096 })
