/**
 * What every `Transport` must do, whatever carries its bytes.
 *
 * @since 0.1.0
 */
import { Effect, type Layer, type Scope } from "effect"
import type { Backend } from "../../services/Fleet.ts"
import { type Call, Transport } from "../../services/Transport.ts"
import * as assert from "../assert.ts"
import { type Check, checkLive } from "../checks.ts"
import { Heard, until } from "../heard.ts"
import { bytes, text } from "../replies.ts"

/**
 * What a backend is asked to do.
 *
 * - `whole`: answers 200 with a JSON body of known length
 * - `stream`: answers 200 in records, one at a time
 * - `hang`: takes the request and says nothing
 * - `cut`: answers a few records and drops the connection
 * - `reset`: takes the request and drops the connection
 * - `refuse`: lets nobody connect
 * - `flood`: answers megabytes as fast as they are taken
 *
 * @category models
 * @since 0.1.0
 */
export type Behaviour = "whole" | "stream" | "hang" | "cut" | "reset" | "refuse" | "flood"

/** A backend that behaves so. @category models @since 0.1.0 */
export interface Driven {
  readonly backend: Backend
  /** Exchanges whose client has gone, as the backend sees it. */
  readonly aborted: () => number
  /** The last request's body. */
  readonly received: () => Uint8Array
  /** Bytes handed to the connection so far. */
  readonly sent: () => number
}

/** The transport, and how to have a backend for it that behaves as told. @category models @since 0.1.0 */
export interface Driver<R = never> {
  readonly layer: Layer.Layer<Transport | R, unknown>
  readonly behave: (behaviour: Behaviour) => Effect.Effect<Driven, never, Scope.Scope | R>
  /** What to send, where the backend needs something particular to behave so. */
  readonly body?: (behaviour: Behaviour) => Uint8Array
  /** What this transport cannot be asked. */
  readonly without?: ReadonlyArray<Behaviour>
}

const anyBody = bytes(`{"model":"x"}`)

const call = (body: Uint8Array): Call => ({
  method: "POST",
  path: "/api/chat",
  headers: ["Content-Type", "application/json", "X-Request-Id", "r1"],
  body,
})

/** In real time, of which it takes less than a second. @category contracts @since 0.1.0 */
export const contract = <R = never>(
  { behave, body = () => anyBody, layer, without }: Driver<R>,
): ReadonlyArray<Check> => {
  const can = (behaviour: Behaviour) => !without?.includes(behaviour)

  const send = Effect.fnUntraced(function* (behaviour: Behaviour, onEvent?: (event: string, sink: Heard) => void) {
    const driven = yield* behave(behaviour)
    const transport = yield* Transport
    const heard = new Heard()
    if (onEvent !== undefined) heard.onEvent = onEvent
    transport.send(driven.backend, call(body(behaviour)), heard)
    return { driven, heard }
  })

  const checks: Array<Check> = []
  const live = <E>(title: string, body: () => Effect.Effect<void, E, Transport | R | Scope.Scope>) =>
    void checks.push(checkLive(title, () => Effect.provide(body(), layer)))
  if (can("whole")) {
    live("opens, then head, data and end, and passes the body both ways", () =>
      Effect.gen(function* () {
        const { driven, heard } = yield* send("whole")
        yield* until(() => heard.ended, "the end")
        assert.deepStrictEqual(heard.events, ["open", "head", "data", "end"])
        assert.strictEqual(heard.status, 200)
        assert.deepStrictEqual(heard.wrong, [])
        assert.strictEqual(text([driven.received()]), text([body("whole")]))
        assert.isTrue(heard.body.includes(`"done":true`), heard.body)
      }))
  }

  if (can("stream")) {
    live("gives records as they come", () =>
      Effect.gen(function* () {
        const { heard } = yield* send("stream")
        yield* until(() => heard.ended, "the end")
        assert.deepStrictEqual(heard.events, ["open", "head", "data", "end"])
        assert.isAbove(heard.chunks.length, 1)
        assert.deepStrictEqual(heard.wrong, [])
      }))
  }

  if (can("hang")) {
    live(
      "is silent after an abort, however often it is called, and the backend hears of it",
      () =>
        Effect.gen(function* () {
          const { driven, heard } = yield* send("hang")
          yield* until(() => driven.received().length > 0, "the request")
          heard.upstream!.abort()
          heard.upstream!.abort()
          yield* until(() => driven.aborted() === 1, "the abort")
          yield* Effect.sleep("30 millis")
          assert.deepStrictEqual(heard.events, ["open"])
        }),
    )

    live("can be aborted before it has connected", () =>
      Effect.gen(function* () {
        const { heard } = yield* send("hang", (event, sink) => {
          if (event === "open") sink.upstream!.abort()
        })
        yield* Effect.sleep("50 millis")
        assert.deepStrictEqual(heard.events, ["open"])
      }))
  }

  if (can("stream")) {
    live("is silent after an abort in the middle of a chunk", () =>
      Effect.gen(function* () {
        const { heard } = yield* send("stream", (event, sink) => {
          if (event === "data") sink.upstream!.abort()
        })
        yield* until(() => heard.chunks.length > 0, "data")
        yield* Effect.sleep("50 millis")
        assert.deepStrictEqual(heard.events, ["open", "head", "data"])
        assert.strictEqual(heard.chunks.length, 1)
      }))
  }

  if (can("flood")) {
    live("stops when paused, and goes on when resumed, with nothing lost", () =>
      Effect.gen(function* () {
        const { driven, heard } = yield* send("flood", (event, sink) => {
          if (event === "head") sink.upstream!.pause()
        })
        yield* until(() => heard.status === 200, "the head")
        yield* Effect.sleep("200 millis")
        assert.isAtMost(heard.chunks.length, 2)
        assert.isFalse(heard.ended)
        heard.upstream!.resume()
        yield* until(() => heard.ended, "the end")
        assert.strictEqual(heard.events.at(-1), "end")
        assert.strictEqual(heard.chunks.reduce((sum, chunk) => sum + chunk.length, 0), driven.sent())
      }))
  }

  if (can("refuse")) {
    live("says Refused when nobody answers the door", () =>
      Effect.gen(function* () {
        const { driven, heard } = yield* send("refuse")
        yield* until(() => heard.ended, "the failure")
        assert.strictEqual(heard.error?.reason, "Refused")
        assert.strictEqual(heard.error?.backend, driven.backend.id)
      }))
  }

  if (can("reset")) {
    live("says Reset when the connection drops before the head", () =>
      Effect.gen(function* () {
        const { heard } = yield* send("reset")
        yield* until(() => heard.ended, "the failure")
        assert.deepStrictEqual(heard.events, ["open", "fail"])
        assert.strictEqual(heard.error?.reason, "Reset")
      }))
  }

  if (can("cut")) {
    live("says Reset when the connection drops in the middle", () =>
      Effect.gen(function* () {
        const { heard } = yield* send("cut")
        yield* until(() => heard.ended, "the failure")
        assert.deepStrictEqual(heard.events, ["open", "head", "data", "fail"])
        assert.strictEqual(heard.error?.reason, "Reset")
        assert.deepStrictEqual(heard.wrong, [])
      }))
  }
  return checks
}
