/**
 * Gives a backend's error answer, which the relay held back, to the client.
 *
 * @since 0.1.0
 */
import type { BackendAnswer } from "../../services/Relay.ts"
import type { ReplySink } from "../../services/Reply.ts"
import type { Upstream } from "../../services/Transport.ts"

/** Ollama's own 503 ("server busy") has no `Retry-After`. */
const lacksRetryAfter = ({ rawHeaders, status }: BackendAnswer): boolean =>
  status === 503 && !rawHeaders.some((name, i) => i % 2 === 0 && name.toLowerCase() === "retry-after")

/** The upstream of an answer that has come as a whole. */
const ended: Upstream = { pause: () => {}, resume: () => {}, abort: () => {} }

/** @internal */
export const send = (reply: ReplySink, answer: BackendAnswer): void => {
  if (lacksRetryAfter(answer)) reply.annotate(["Retry-After", "1"])
  reply.open(ended)
  reply.head(answer.status, answer.rawHeaders)
  reply.data(answer.body)
  reply.end()
}
