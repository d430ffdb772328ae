/** A transport that is watched. */
import { Effect, Layer } from "effect"
import { type ByteSink, Transport } from "../../services/Transport.ts"
import { concat } from "../../wire/json.ts"
import type { Attempt } from "./observations.ts"
import type { Watch } from "./watch.ts"

/**
 * Delivers each chunk in two parts, the second one together with the next chunk, as a network may. So every pause of
 * the backend falls into the middle of a record.
 */
const split = (sink: ByteSink): ByteSink => {
  let rest = new Uint8Array(0)
  return {
    open: (upstream) => sink.open(upstream),
    head: (status, raw) => sink.head(status, raw),
    data: (chunk) => {
      const cut = chunk.length >> 1
      sink.data(concat([rest, chunk.subarray(0, cut)]))
      rest = chunk.slice(cut)
    },
    end: () => {
      sink.data(rest)
      sink.end()
    },
    fail: (error) => sink.fail(error),
  }
}

/** A sink that passes everything on and keeps it in `attempt`. */
const recorded = (watch: Watch, attempt: Attempt, to: ByteSink): ByteSink => {
  const over = (ending: Attempt["ending"]): void => {
    if (attempt.ending !== undefined) return
    attempt.ending = ending
    watch.tell("over", attempt)
  }
  return {
    open: (upstream) =>
      to.open({
        pause: () => upstream.pause(),
        resume: () => upstream.resume(),
        abort: () => {
          over("abort")
          upstream.abort()
        },
      }),
    head: (status, raw) => {
      attempt.status = status
      to.head(status, raw)
    },
    data: (chunk) => {
      attempt.chunks.push(chunk)
      to.data(chunk)
    },
    end: () => {
      over("end")
      to.end()
    },
    fail: (error) => {
      over("fail")
      to.fail(error)
    },
  }
}

/**
 * Tells each attempt and what its backend sends. With `splits` the chunks are also cut in the middle of their records.
 *
 * @category layers
 * @since 0.1.0
 */
export const transport =
  (watch: Watch, splits: boolean) => <E, R>(inner: Layer.Layer<Transport, E, R>): Layer.Layer<Transport, E, R> =>
    Layer.effect(
      Transport,
      Effect.map(Transport, (transport) => ({
        send: (backend, call, to) => {
          const id = call.headers[call.headers.indexOf("X-Request-Id") + 1]!
          const attempt: Attempt = { id, backend: backend.id, chunks: [], status: 0, ending: undefined }
          const sink = recorded(watch, attempt, to)
          watch.tell("sent", attempt)
          transport.send(backend, call, splits ? split(sink) : sink)
        },
      })),
    ).pipe(Layer.provide(inner))
