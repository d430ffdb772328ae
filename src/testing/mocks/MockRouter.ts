/**
 * A router that answers every request with the same bytes, for tests of servers and routes.
 *
 * @since 0.1.0
 */
import { Effect, Layer } from "effect"
import type { Refusal } from "../../services/Refusal.ts"
import { refuse } from "../../services/Refusal.ts"
import { Router, type Settled } from "../../services/Router.ts"
import type { Upstream } from "../../services/Transport.ts"

/** What a mock router answers. @category models @since 0.1.0 */
export interface Answer {
  readonly status: number
  /** Alternating names and values. */
  readonly headers: ReadonlyArray<string>
  /** The body, one text for each chunk. */
  readonly chunks: ReadonlyArray<string>
}

const idle: Upstream = { pause: () => {}, resume: () => {}, abort: () => {} }

const ended = (result: Settled["result"], status: number, refusal: Refusal | undefined): Settled => ({
  result,
  status,
  refusal,
  outcome: undefined,
  backend: undefined,
  attempts: 0,
  queuedMillis: 0,
})

/** Answers every request with `answer`, or refuses it. @category layers @since 0.1.0 */
export const layer = (answer: Answer | Refusal): Layer.Layer<Router> =>
  Layer.effect(
    Router,
    Effect.sync(() => {
      let draining = false
      return Router.of({
        active: () => 0,
        draining: () => draining,
        drain: Effect.sync(() => {
          draining = true
        }),
        route: (_, reply) =>
          Effect.sync(() => {
            const refusal = draining ? refuse("Draining", "this router is shutting down", { retryAfter: 5 }) : answer
            if ("_tag" in refusal) {
              reply.refuse(refusal)
              return ended("refused", refusal.status, refusal)
            }
            reply.open(idle)
            reply.head(refusal.status, refusal.headers)
            const encoder = new TextEncoder()
            for (const chunk of refusal.chunks) reply.data(encoder.encode(chunk))
            reply.end()
            return ended("answered", refusal.status, undefined)
          }),
      })
    }),
  )
