/**
 * Bytes from the backend to the reply, unchanged, with one sweeper watching all exchanges for what does not come.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect, Layer } from "effect"
import { type Attempt, Relay } from "../../services/Relay.ts"
import { Transport } from "../../services/Transport.ts"
import { Bag } from "../../support/bag.ts"
import { every } from "../../support/every.ts"
import { Exchange, type Limits } from "./exchange.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Longest wait for the first byte of a streamed answer, in milliseconds. Defaults to `120000`. */
  readonly firstByteMillis?: number | undefined
  /** Longest wait between two chunks, in milliseconds. Defaults to `120000`. */
  readonly gapMillis?: number | undefined
  /** Longest wait for an answer that does not stream, whose first byte comes when all is generated. Defaults to `600000`, as long as the `openai` client waits. */
  readonly answerMillis?: number | undefined
  /** A client that does not read for so long is cut, in milliseconds: Ollama would hold its slot for ever. Defaults to `60000`. */
  readonly stallMillis?: number | undefined
  /** Longest time in which a backend takes nothing more of a request's body, in milliseconds. Defaults to `10000`. */
  readonly writeMillis?: number | undefined
  /** Longest time for all of an exchange, in milliseconds. Defaults to no limit. */
  readonly totalMillis?: number | undefined
}

/** How often limits are looked at: a cut is late by at most this. */
const sweepMillis = 250

const make = Effect.fnUntraced(function* (limits: Limits) {
  const transport = yield* Transport
  const clock = yield* Clock.Clock
  const active = new Bag<Exchange>()

  const sweep = Effect.sync(() => {
    if (active.size === 0) return
    const now = clock.currentTimeMillisUnsafe()
    for (const exchange of active.snapshot()) exchange.check(now, limits)
  })
  yield* Effect.forkScoped(every(Duration.millis(sweepMillis), sweep))

  const start: Relay["Service"]["start"] = (lease, call, expect, reply, done) => {
    const exchange = new Exchange(lease, reply, expect, clock, (self, attempt) => {
      active.remove(self)
      lease.release(attempt.outcome)
      done(attempt)
    })
    active.add(exchange)
    transport.send(lease.backend, call, exchange)
    return exchange
  }

  return Relay.of({
    active: () => active.size,
    start,
    run: (lease, call, expect, reply) =>
      Effect.callback<Attempt>((resume) => {
        const exchange = start(lease, call, expect, reply, (attempt) => resume(Effect.succeed(attempt)))
        return Effect.sync(() => exchange.abort())
      }),
  })
})

/**
 * A relay over the deployer's transport.
 *
 * **Details**
 *
 * The head is held back until the first byte of the body, so that a failure before it can still go elsewhere and head and first chunk leave together.
 * Error answers are held back whole (up to 64 KiB). A stream that ends without the last record of its dialect gets an error record.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Relay, never, Transport> =>
  Layer.effect(
    Relay,
    make({
      firstByteMillis: options?.firstByteMillis ?? 120_000,
      gapMillis: options?.gapMillis ?? 120_000,
      answerMillis: options?.answerMillis ?? 600_000,
      stallMillis: options?.stallMillis ?? 60_000,
      writeMillis: options?.writeMillis ?? 10_000,
      totalMillis: options?.totalMillis ?? Infinity,
    }),
  )
