/**
 * Writes the answer for one client, in the client's dialect.
 *
 * @since 0.1.0
 */
import type { Refusal } from "./Refusal.ts"
import type { QueuePlace } from "./RoutedRequest.ts"
import type { ByteSink } from "./Transport.ts"

/**
 * Takes the answer for one client. Only the reply knows the client's dialect, whether the head was sent, and where
 * records end.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReplySink extends ByteSink {
  /** Whether a status line was sent. */
  readonly committed: boolean
  /** Bytes of the answer that were passed on to the client so far. */
  readonly bytes: number
  /**
   * Sends a heartbeat if the last record is complete. The first one commits status 200. Does nothing when the answer
   * does not stream. In server-sent events the heartbeat tells the client its `place` in the queue.
   */
  heartbeat(place?: QueuePlace): void
  /** Sends a status and a body in the client's dialect; an error record when the head was sent already. */
  refuse(why: Refusal): void
  /** Adds headers to the head: names and values in turn. Call it before the head is sent. */
  annotate(headers: ReadonlyArray<string>): void
}
