/**
 * What every `Transport` must do, however it carries bytes.
 *
 * @since 0.1.0
 */
import { Effect, type Layer, type Scope } from "effect"
import type { Backend } from "../../services/Fleet.ts"
import { type Call, Transport } from "../../services/Transport.ts"
import * as assert from "../assert.ts"
import { type Check, checkLive } from "../checks.ts"
import { bytes, text } from "../replies.ts"
import { RecordingSink, until } from "../sinks.ts"

/**
 * What a backend is asked to do.
 *
 * - `whole`: answers 200 with a JSON body of known length
 * - `stream`: answers 200 in records, one at a time
 * - `hang`: takes the request and never answers
 * - `cut`: answers a few records and drops the connection
 * - `reset`: takes the request and drops the connection
 * - `refuse`: accepts no connection
 * - `flood`: answers megabytes as fast as they are taken
 *
 * @category models
 * @since 0.1.0
 */
export type Behaviour = "whole" | "stream" | "hang" | "cut" | "reset" | "refuse" | "flood"

/** A backend with a behaviour. @category models @since 0.1.0 */
export interface Driven {
  readonly backend: Backend
  /** How many exchanges the backend saw its client leave. */
  readonly aborted: () => number
  /** The body of the last request. */
  readonly received: () => Uint8Array
  /** Bytes that the backend has given to the connection. */
  readonly sent: () => number
}

/** The transport, and how to get a backend for it with a behaviour. @category models @since 0.1.0 */
export interface Driver<R = never> {
  readonly layer: Layer.Layer<Transport | R, unknown>
  readonly behave: (behaviour: Behaviour) => Effect.Effect<Driven, never, Scope.Scope | R>
  /** The body to send, where the backend needs a particular one for a behaviour. Defaults to a small JSON object. */
  readonly body?: (behaviour: Behaviour) => Uint8Array
  /** Behaviours that `behave` cannot make: their checks are left out. */
  readonly without?: ReadonlyArray<Behaviour>
}

const anyBody = bytes(`{"model":"x"}`)

const call = (body: Uint8Array): Call => ({
  method: "POST",
  path: "/api/chat",
  headers: ["Content-Type", "application/json", "X-Request-Id", "r1"],
  body,
})

interface Exchange {
  readonly driven: Driven
  readonly sink: RecordingSink
  readonly body: Uint8Array
  /** Waits for the end or the failure of the answer. */
  readonly ended: Effect.Effect<void>
}

type Send<R> = (
  onEvent?: (event: string, sink: RecordingSink) => void,
) => Effect.Effect<Exchange, never, Transport | R | Scope.Scope>

const sending = <R>({ behave, body = () => anyBody }: Driver<R>, behaviour: Behaviour): Send<R> =>
  Effect.fnUntraced(function* (onEvent) {
    const driven = yield* behave(behaviour)
    const transport = yield* Transport
    const sink = new RecordingSink()
    if (onEvent !== undefined) sink.onEvent = onEvent
    const sent = body(behaviour)
    const ended = until(() => sink.ended, `the end of POST /api/chat to ${driven.backend.id} (${behaviour})`)
    transport.send(driven.backend, call(sent), sink)
    return { driven, sink, body: sent, ended }
  })

type Body = <R>(send: Send<R>) => Effect.Effect<void, unknown, Transport | R | Scope.Scope>

const answers: ReadonlyArray<readonly [Behaviour, name: string, Body]> = [
  ["whole", "opens, then head, data and end, and passes the body both ways", (send) =>
    Effect.gen(function* () {
      const { body, driven, ended, sink } = yield* send()
      yield* ended
      assert.deepStrictEqual(sink.events, ["open", "head", "data", "end"])
      assert.strictEqual(sink.status, 200)
      assert.deepStrictEqual(sink.wrong, [])
      assert.strictEqual(text([driven.received()]), text([body]))
      assert.isTrue(sink.body.includes(`"done":true`), sink.body)
    })],

  ["stream", "gives records as they come", (send) =>
    Effect.gen(function* () {
      const { ended, sink } = yield* send()
      yield* ended
      assert.deepStrictEqual(sink.events, ["open", "head", "data", "end"])
      assert.isAbove(sink.chunks.length, 1)
      assert.deepStrictEqual(sink.wrong, [])
    })],

  ["flood", "stops when paused, and goes on when resumed, with nothing lost", (send) =>
    Effect.gen(function* () {
      const { driven, ended, sink } = yield* send((event, sink) => {
        if (event === "head") sink.upstream!.pause()
      })
      yield* until(() => sink.status === 200, "the head of POST /api/chat")
      yield* Effect.sleep("200 millis")
      assert.isAtMost(sink.chunks.length, 2)
      assert.isFalse(sink.ended)
      sink.upstream!.resume()
      yield* ended
      assert.strictEqual(sink.events.at(-1), "end")
      assert.strictEqual(sink.chunks.reduce((sum, chunk) => sum + chunk.length, 0), driven.sent())
    })],
]

const aborts: ReadonlyArray<readonly [Behaviour, name: string, Body]> = [
  [
    "hang",
    "is silent after an abort, however often it is called, and the backend hears of it",
    (send) =>
      Effect.gen(function* () {
        const { driven, sink } = yield* send()
        yield* until(() => driven.received().length > 0, "the request, at the backend")
        sink.upstream!.abort()
        sink.upstream!.abort()
        yield* until(() => driven.aborted() === 1, "the abort, at the backend")
        yield* Effect.sleep("30 millis")
        assert.deepStrictEqual(sink.events, ["open"])
      }),
  ],

  ["hang", "can be aborted before it has connected", (send) =>
    Effect.gen(function* () {
      const { sink } = yield* send((event, sink) => {
        if (event === "open") sink.upstream!.abort()
      })
      yield* Effect.sleep("50 millis")
      assert.deepStrictEqual(sink.events, ["open"])
    })],

  ["stream", "is silent after an abort in the middle of a chunk", (send) =>
    Effect.gen(function* () {
      const { sink } = yield* send((event, sink) => {
        if (event === "data") sink.upstream!.abort()
      })
      yield* until(() => sink.chunks.length > 0, "the first data of POST /api/chat")
      yield* Effect.sleep("50 millis")
      assert.deepStrictEqual(sink.events, ["open", "head", "data"])
      assert.strictEqual(sink.chunks.length, 1)
    })],
]

const failures: ReadonlyArray<readonly [Behaviour, name: string, Body]> = [
  ["refuse", "says Refused when the backend accepts no connection", (send) =>
    Effect.gen(function* () {
      const { driven, ended, sink } = yield* send()
      yield* ended
      assert.strictEqual(sink.error?.reason, "Refused")
      assert.strictEqual(sink.error?.backend, driven.backend.id)
    })],

  ["reset", "says Reset when the connection drops before the head", (send) =>
    Effect.gen(function* () {
      const { ended, sink } = yield* send()
      yield* ended
      assert.deepStrictEqual(sink.events, ["open", "fail"])
      assert.strictEqual(sink.error?.reason, "Reset")
    })],

  ["cut", "says Reset when the connection drops in the middle", (send) =>
    Effect.gen(function* () {
      const { ended, sink } = yield* send()
      yield* ended
      assert.deepStrictEqual(sink.events, ["open", "head", "data", "fail"])
      assert.strictEqual(sink.error?.reason, "Reset")
      assert.deepStrictEqual(sink.wrong, [])
    })],
]

/**
 * In real time: each check takes less than a second.
 *
 * @category contracts
 * @since 0.1.0
 */
export const contract = <R = never>(driver: Driver<R>): ReadonlyArray<Check> =>
  [...answers, ...aborts, ...failures].filter(([behaviour]) => driver.without?.includes(behaviour) !== true).map((
    [behaviour, name, body],
  ) => checkLive(name, () => Effect.provide(body(sending(driver, behaviour)), driver.layer)))
