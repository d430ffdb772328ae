/**
 * Makes one small call to one backend and reads the whole answer. It uses the `Transport`, not `HttpClient`, so that it
 * works wherever requests do, without a second HTTP client.
 *
 * @since 0.1.0
 */
import { Duration, Effect } from "effect"
import type { Backend } from "../../services/Fleet.ts"
import { type ByteSink, type Call, type Transport, TransportError, type Upstream } from "../../services/Transport.ts"
import { DecodingSink } from "../../wire/contentDecoding.ts"
import { concat } from "../../wire/json.ts"

/**
 * An answer that was read to its end.
 *
 * @category models
 * @since 0.1.0
 */
export interface Collected {
  readonly backend: Backend
  readonly status: number
  /** Alternating names and values, as they came. The body is decoded, and they say so. */
  readonly rawHeaders: ReadonlyArray<string>
  readonly body: Uint8Array
}

/** A merged list of thousands of models is about a megabyte. A much larger answer is not from Ollama. */
const bytesMax = 32 * 1024 * 1024

/**
 * Sends a call and waits for its whole answer. Interruption and the time limit abort the call.
 *
 * @category constructors
 * @since 0.1.0
 */
export const collect = (
  transport: Transport["Service"],
  backend: Backend,
  call: Call,
  limit: Duration.Duration,
): Effect.Effect<Collected, TransportError> =>
  Effect.callback<Collected, TransportError>((resume) => {
    let upstream: Upstream | undefined
    let status = 0
    let size = 0
    let rawHeaders: ReadonlyArray<string> = []
    const chunks: Array<Uint8Array> = []
    const sink: ByteSink = {
      open: (opened) => void (upstream = opened),
      head: (code, headers) => {
        status = code
        rawHeaders = headers
      },
      data: (chunk) => {
        size += chunk.length
        chunks.push(chunk)
        if (size <= bytesMax) return
        upstream?.abort()
        resume(Effect.fail(
          new TransportError({
            reason: "Protocol",
            backend: backend.id,
            description: `answer above ${bytesMax} bytes`,
          }),
        ))
      },
      end: () => resume(Effect.succeed({ backend, status, rawHeaders, body: concat(chunks) })),
      fail: (error) => resume(Effect.fail(error)),
    }
    transport.send(backend, call, new DecodingSink(backend.id, sink))
    return Effect.sync(() => upstream?.abort())
  }).pipe(
    Effect.timeoutOrElse({
      duration: limit,
      orElse: () =>
        Effect.fail(
          new TransportError({
            reason: "Timeout",
            backend: backend.id,
            description: `no whole answer to ${call.path} within ${Duration.format(limit)}`,
          }),
        ),
    }),
  )
