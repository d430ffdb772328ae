/**
 * The client's side of one answer.
 *
 * @since 0.1.0
 */
import type { Refusal } from "./Refusal.ts"
import type { QueuePlace } from "./RoutedRequest.ts"
import type { ByteSink } from "./Transport.ts"

/**
 * Takes the answer for a client: alone knows the client's dialect, whether bytes are committed, and where records end.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReplySink extends ByteSink {
  /** Whether a status line has gone out. */
  readonly committed: boolean
  /** Bytes passed on to the client so far. */
  readonly bytes: number
  /** A sign of life at a record boundary; the first one commits status 200. Does nothing where the dialect has none (a reply that does not stream). The comments of server-sent events say `place`. */
  heartbeat(place?: QueuePlace): void
  /** A status and body in the client's dialect, or an error record once committed. */
  refuse(why: Refusal): void
  /** Headers of llamero's own, sent with the head: alternating names and values. Must come before the head. */
  annotate(headers: ReadonlyArray<string>): void
}
