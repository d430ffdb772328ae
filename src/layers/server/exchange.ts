/**
 * The common part of the exchanges of `NodeServer` and `WebServer`.
 *
 * @since 0.1.0
 */
import { type Clock, Effect, type Fiber } from "effect"
import { type Refusal, refuse } from "../../services/Refusal.ts"
import type { ReplySink } from "../../services/Reply.ts"
import type { RoutedRequest } from "../../services/RoutedRequest.ts"
import type { Router, Routing, Settled } from "../../services/Router.ts"
import { streams } from "../../wire/request.ts"
import type { Decode } from "./decode.ts"
import { GenerateV1Reply } from "./generateV1.ts"
import type { Held, Uploads } from "./held.ts"
import type { ReplyBase } from "./ReplyBase.ts"

/** What all exchanges of one server share. @internal */
export interface Shared {
  readonly clock: Clock.Clock
  readonly router: Router["Service"]
  readonly fork: (route: Effect.Effect<Settled>) => Fiber.Fiber<Settled>
  readonly bodyBytesMax: number
  readonly uploads: Uploads
  readonly decode: Decode
  /** In lower case. */
  readonly tenantHeader: string | undefined
}

/** The answer where the router has ended without one. @internal */
export const unanswered: Refusal = refuse("Internal", "internal error in the router")

/**
 * An address without what a client's choice of protocol adds to it: an IPv4 address that is written as an IPv6 one,
 * and the loopback address of IPv6, are the addresses of IPv4.
 *
 * @internal
 */
export const plainAddress = (address: string | undefined): string | undefined =>
  address === "::1" ? "127.0.0.1" : address?.startsWith("::ffff:") === true ? address.slice(7) : address

/** Decodes a body that has come whole. Its decoded bytes take the place of those that came. @internal */
export const decoded = (
  { bodyBytesMax, decode }: Shared,
  encoding: string,
  body: Uint8Array,
  held: Held,
): Effect.Effect<Uint8Array | Refusal> =>
  Effect.map(decode(encoding, body, { limit: bodyBytesMax, hold: (bytes) => held.add(bytes) }), (result) => {
    held.release("_tag" in result ? undefined : body.length)
    return result
  })

/**
 * Gives a request to the router. Its answer goes to `reply`. `ended` is called once, perhaps before this returns.
 *
 * @internal
 */
export const begin = (shared: Shared, request: RoutedRequest, reply: ReplyBase, ended: () => void): Routing => {
  const inRecords = streams(request)
  reply.describe(request.envelope.model, inRecords)
  const sink: ReplySink = reply.endpoint.dialect === "generate-v1" ? new GenerateV1Reply(reply, inRecords) : reply
  const { route } = shared.router
  if (route.start !== undefined) return route.start(request, sink, ended)
  const fiber = shared.fork(route(request, sink))
  fiber.addObserver(ended)
  return inFiber(fiber)
}

/** What runs in a fiber. @internal */
export const inFiber = (fiber: Fiber.Fiber<unknown>): Routing => ({ interrupt: () => fiber.interruptUnsafe() })

/** What has not begun yet, or is over. @internal */
export const nothing: Routing = { interrupt: () => {} }
