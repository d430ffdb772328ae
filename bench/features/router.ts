/**
 * A whole router in this process, without sockets. Its backend answers in the next turn of the event loop, and its
 * clients read at once.
 */
import { Cause, Effect, Exit, Layer, ManagedRuntime, References } from "effect"
import process from "node:process"
import * as StaticFleet from "../../src/layers/fleet/StaticFleet.ts"
import { ReplyBase } from "../../src/layers/server/ReplyBase.ts"
import * as Standard from "../../src/layers/Standard.ts"
import { Fleet } from "../../src/services/Fleet.ts"
import { OllamaApi } from "../../src/services/OllamaApi.ts"
import type { Refusal } from "../../src/services/Refusal.ts"
import { Router, type Settled } from "../../src/services/Router.ts"
import { type ByteSink, Transport, type Upstream } from "../../src/services/Transport.ts"
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"
import * as SimulatedOllamaApi from "../../src/simulated/SimulatedOllamaApi.ts"
import { find } from "../../src/wire/endpoints.ts"
import { make, readHeaders, streams } from "../../src/wire/request.ts"
import { bodies, MODEL } from "../wire.ts"

const url = "http://backend:11434"
const encoder = new TextEncoder()
const whole = encoder.encode(bodies.json)
const lines = bodies.stream.split("\n").slice(0, -1).map((line) => encoder.encode(line + "\n"))
const wholeHeaders = ["Content-Type", "application/json; charset=utf-8", "Content-Length", String(whole.length)]
const streamHeaders = ["Content-Type", "application/x-ndjson", "Transfer-Encoding", "chunked"]
const streamed = Buffer.from(`"stream":true`)

const upstream: Upstream = { pause: () => {}, resume: () => {}, abort: () => {} }

/** Answers all calls of one turn together in the next turn, as the events of a busy socket come. */
const transport = (): Layer.Layer<Transport> => {
  let waiting: Array<{ readonly to: ByteSink; readonly streams: boolean }> = []
  const answer = () => {
    const all = waiting
    waiting = []
    for (const { streams, to } of all) {
      to.head(200, streams ? streamHeaders : wholeHeaders)
      if (streams) { for (const line of lines) to.data(line) }
      else to.data(whole)
      to.end()
    }
  }
  return Layer.succeed(Transport, {
    send: (_backend, { body = new Uint8Array() }, to) => {
      to.open(upstream)
      if (waiting.length === 0) setImmediate(answer)
      waiting.push({ to, streams: Buffer.from(body.buffer, body.byteOffset, body.length).includes(streamed) })
    },
  })
}

class Client extends ReplyBase {
  override refuse(why: Refusal): void {
    throw new Error(why.message)
  }
  protected start(): void {}
  protected write(): boolean {
    return true
  }
  protected finish(): void {}
  protected destroy(): void {}
  protected now(): number {
    return Date.now()
  }
}

/** A second model, besides the bench's own. */
export const EMBEDDER = SimulatedFleet.Model.embedder.name
export const OTHER = "other:latest"
const models = [
  SimulatedFleet.Model.model({ name: MODEL }),
  SimulatedFleet.Model.model({ name: OTHER }),
  SimulatedFleet.Model.embedder,
]
/** The models are in memory from the start, so that not even the first request waits. */
const loaded = Effect.gen(function* () {
  const [backend] = (yield* Fleet).members()
  const api = yield* OllamaApi
  if (backend === undefined) return
  for (const { name } of models) {
    yield* api.load(backend.backend, name, { keepAlive: -1, embedder: name === EMBEDDER, numCtx: undefined })
  }
})
const place = Layer.mergeAll(
  SimulatedOllamaApi.layer,
  StaticFleet.layer([{ url, id: "backend", parallelism: 100_000, streamsMax: 100_000 }]),
).pipe(
  Layer.provide(SimulatedFleet.layer({ [url]: { models, loadBandwidth: 1e15, parallelism: 1000 } })),
  Layer.tap((services) => Effect.provide(loaded, services)),
)

/** The requests to send, again and again. */
export interface Load {
  readonly path: string
  readonly bodies: ReadonlyArray<string>
  readonly headers?: ReadonlyArray<string>
}

export interface Running {
  /** Microseconds of CPU of all threads, for each of `count` requests. */
  readonly measure: (load: Load, count: number) => Promise<number>
  readonly close: () => Promise<void>
}

/** The standard stack with the layers of a feature in place of its own; `besides` provides what those need. */
export const open = async (
  stack: Layer.Layer<Standard.Provides, unknown, Standard.Needs>,
  /** Requests that are running at a time. */
  connections = 32,
): Promise<Running> => {
  const quiet = Layer.succeed(References.MinimumLogLevel, "Warn")
  const runtime = ManagedRuntime.make(stack.pipe(Layer.provide(Layer.mergeAll(place, transport(), quiet))))
  const router = await runtime.runPromise(Router)
  const context = await runtime.context()
  const fork = Effect.runForkWith(context)
  let ids = 0

  const run = (load: Load, count: number): Promise<void> =>
    new Promise((done, failed) => {
      const endpoint = find(load.path)!
      const raw = ["Host", "127.0.0.1:11435", "Content-Type", "application/json", ...load.headers ?? []]
      const sent = load.bodies.map((body) => Buffer.from(body))
      let [left, answered, free] = [count, 0, connections]
      const ended = (exit: Exit.Exit<Settled>): void => {
        if (Exit.isFailure(exit)) return failed(new Error(Cause.pretty(exit.cause)))
        if (++answered === count) return done()
        // In a turn of its own, as the next request on a socket comes, not inside the call stack of the one before.
        if (free++ === 0) setImmediate(start)
      }
      const start = (): void => {
        for (; free > 0 && left > 0; free--) next()
      }
      const next = (): void => {
        left--
        const id = `b${++ids}`
        const reply = new Client(endpoint, id, [])
        const made = make(id, endpoint, raw, readHeaders(raw), sent[left % sent.length]!, Date.now())
        if ("_tag" in made) return failed(new Error(made.message))
        reply.describe(made.envelope.model, streams(made))
        // As the servers do.
        if (router.route.start !== undefined) router.route.start(made, reply, ended)
        else fork(router.route(made, reply)).addObserver(ended)
      }
      start()
    })

  return {
    measure: async (load, count) => {
      const before = process.cpuUsage()
      await run(load, count)
      const { system, user } = process.cpuUsage(before)
      return (user + system) / count
    },
    close: () => runtime.dispose(),
  }
}
