/**
 * A simulated backend that is killed at a chosen moment of an answer, and a client of the web handler in front of it.
 */
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import * as WebServer from "../../src/layers/server/WebServer.ts"
import { type ByteSink, Transport, TransportError, type Upstream } from "../../src/services/Transport.ts"
import * as SimulatedTransport from "../../src/simulated/SimulatedTransport.ts"

export type Moment = "byte 0" | "after headers" | "mid-answer" | "before terminator" | "end without terminator"

const terminator = /"done":true|\[DONE\]|"type":"message_stop"|"type":"response\.completed"/
const text = (chunk: Uint8Array) => new TextDecoder().decode(chunk)

/**
 * Passes an answer on until the moment comes, then breaks the connection. For one moment it ends the answer properly.
 */
class Killed implements ByteSink {
  private readonly to: ByteSink
  private readonly moment: Moment
  private readonly backend: string
  private upstream: Upstream | undefined = undefined
  private chunks = 0
  /** Whether the answer comes in one piece. */
  private whole = false
  private dead = false
  constructor(to: ByteSink, moment: Moment, backend: string) {
    this.to = to
    this.moment = moment
    this.backend = backend
  }
  open(upstream: Upstream): void {
    this.upstream = upstream
    this.to.open(upstream)
  }
  head(status: number, rawHeaders: ReadonlyArray<string>): void {
    if (this.moment === "byte 0") this.die()
    this.whole = rawHeaders.some((value) => value.startsWith("application/json"))
    if (!this.dead) this.to.head(status, rawHeaders)
  }
  data(chunk: Uint8Array): void {
    if (this.dead) return
    this.chunks++
    const last = terminator.test(text(chunk))
    if (this.moment === "after headers") return this.die()
    if (this.moment === "mid-answer" && this.whole) {
      this.to.data(chunk.subarray(0, chunk.length >> 1))
      return this.die()
    }
    if (this.moment === "mid-answer" && this.chunks > 3) return this.die()
    if (this.moment === "before terminator" && last) return this.die()
    if (this.moment === "end without terminator" && last) {
      this.dead = true
      return this.to.end()
    }
    this.to.data(chunk)
  }
  end(): void {
    if (!this.dead) this.to.end()
  }
  fail(error: TransportError): void {
    if (!this.dead) this.to.fail(error)
  }
  private die(): void {
    this.dead = true
    this.upstream?.abort()
    this.to.fail(new TransportError({ reason: "Reset", backend: this.backend, description: "killed" }))
  }
}

/** Kills the backend that gets the first call. Later calls are passed on. */
export const killingOnce = (moment: Moment) =>
  Layer.effect(
    Transport,
    Effect.map(Transport, ({ send }) => {
      let armed = true
      return Transport.of({
        send: (backend, call, to) => {
          const sink = armed ? new Killed(to, moment, backend.id) : to
          armed = false
          send(backend, call, sink)
        },
      })
    }),
  ).pipe(Layer.provide(SimulatedTransport.layer))

/** Advances virtual time, and lets the runtime's own queues run, until the promise is settled. */
export const passing = <A>(promise: Promise<A>, limit = 300) =>
  Effect.gen(function* () {
    let over = false
    promise.then(() => over = true, () => over = true)
    for (let i = 0; i < limit && !over; i++) {
      yield* TestClock.adjust("500 millis")
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 0)))
    }
    if (!over) return yield* Effect.die(new Error(`not over after ${limit / 2} seconds`))
    return yield* Effect.promise(() => promise)
  })

const app = HttpRouter.add("GET", "/hello", HttpServerResponse.text("hello"))

/** `fetch` directly into the router of the context, on its clock. */
export const fetching = Effect.map(
  WebServer.make(app),
  (handler) => (input: string | URL | Request, init?: RequestInit): Promise<Response> =>
    handler.fetch(new Request(input, init)),
)
