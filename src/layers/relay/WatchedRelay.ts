/**
 * Passes answers from backends to replies, unchanged. One sweeper watches the time limits of all attempts.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect, Layer } from "effect"
import * as Live from "../../services/Live.ts"
import { type Attempt, Relay } from "../../services/Relay.ts"
import { Transport } from "../../services/Transport.ts"
import { Bag } from "../../support/bag.ts"
import { every } from "../../support/every.ts"
import type { Limits } from "./timeLimits.ts"
import { WatchedAttempt } from "./watchedAttempt.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Longest wait for the first byte of a streamed answer, in milliseconds. Defaults to `120000`. */
  readonly firstByteMillis?: number | undefined
  /** Longest wait between two chunks, in milliseconds. Defaults to `120000`. */
  readonly gapMillis?: number | undefined
  /**
   * Longest wait for the first byte of an answer that does not stream, in milliseconds. It comes when all is generated.
   * Defaults to `600000`, as long as the `openai` client waits.
   */
  readonly answerMillis?: number | undefined
  /**
   * Longest time in which a client reads nothing, in milliseconds. Then it is cut off: Ollama would keep its slot for
   * ever. Defaults to `60000`.
   */
  readonly stallMillis?: number | undefined
  /** Longest time in which a backend takes no more bytes of a call's body, in milliseconds. Defaults to `10000`. */
  readonly writeMillis?: number | undefined
  /** Longest time of a whole attempt, in milliseconds. Defaults to no limit. */
  readonly totalMillis?: number | undefined
}

/** How often the sweeper looks at the limits. An attempt ends at most this much too late. */
const sweepMillis = 250

const limitsOf = (options: Options): Limits => ({
  firstByteMillis: options.firstByteMillis ?? 120_000,
  gapMillis: options.gapMillis ?? 120_000,
  answerMillis: options.answerMillis ?? 600_000,
  stallMillis: options.stallMillis ?? 60_000,
  writeMillis: options.writeMillis ?? 10_000,
  totalMillis: options.totalMillis ?? Infinity,
})

const make = Effect.fnUntraced(function* (options: Live.Live<Options>) {
  const limits = Live.map(options, limitsOf)
  const transport = yield* Transport
  const clock = yield* Clock.Clock
  const active = new Bag<WatchedAttempt>()

  const sweep = Effect.sync(() => {
    if (active.size === 0) return
    const now = clock.currentTimeMillisUnsafe()
    for (const attempt of active.snapshot()) attempt.check(now, limits.now)
  })
  yield* Effect.forkScoped(every(Duration.millis(sweepMillis), sweep))

  const start: Relay["Service"]["start"] = (lease, call, expect, reply, done) => {
    const attempt = new WatchedAttempt(lease, reply, expect, clock, (self, ended) => {
      active.remove(self)
      lease.release(ended.outcome)
      done(ended, self.firstByteAt)
    })
    active.add(attempt)
    transport.send(lease.backend, call, attempt)
    expect.timing?.sent()
    return attempt
  }

  return Relay.of({
    active: () => active.size,
    start,
    run: (lease, call, expect, reply) =>
      Effect.callback<Attempt>((resume) => {
        const attempt = start(lease, call, expect, reply, (ended) => resume(Effect.succeed(ended)))
        return Effect.sync(() => attempt.abort())
      }),
  })
})

/**
 * A relay over the deployer's transport.
 *
 * **Details**
 *
 * The head is held back until the first byte of the body comes. After a failure before that, another backend can be
 * tried. Head and first chunk also leave in one packet. Error answers of up to 64 KiB are held back whole. A stream
 * that ends without the last record of its dialect gets an error record; that is no failure of the backend. An answer
 * that does not stream is whole when its framing says so, whatever its text says.
 *
 * An answer with a `Content-Encoding` is passed on as it is, and the end of such a stream is not looked for. It is
 * decoded where the router has to read it: error answers, calls with `reads`, and after a heartbeat.
 *
 * Limits that change while the router runs (`Live`) count for running attempts, too.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Live.Input<Options>): Layer.Layer<Relay, never, Transport> =>
  Layer.effect(Relay, make(Live.of<Options>(options ?? {})))
