/**
 * A whole router in a test: simulated backends instead of real ones, test time, and no sockets.
 *
 * @since 0.1.0
 */
import { Effect, Layer } from "effect"
import * as StaticFleet from "../layers/fleet/StaticFleet.ts"
import { Admission } from "../services/Admission.ts"
import { Coalescer } from "../services/Coalescer.ts"
import type { Fleet, FleetError } from "../services/Fleet.ts"
import { Leases } from "../services/Leases.ts"
import type { OllamaApi } from "../services/OllamaApi.ts"
import { Relay } from "../services/Relay.ts"
import type { RoutedRequest } from "../services/RoutedRequest.ts"
import type { ReplySink } from "../services/Reply.ts"
import { Router, type Settled } from "../services/Router.ts"
import type { Transport } from "../services/Transport.ts"
import * as SimulatedFleet from "../simulated/SimulatedFleet.ts"
import * as SimulatedOllamaApi from "../simulated/SimulatedOllamaApi.ts"
import * as SimulatedTransport from "../simulated/SimulatedTransport.ts"
import * as assert from "./assert.ts"
import { RecordingReply } from "./replies.ts"
import { request } from "./requests.ts"

/**
 * What `Standard.layer` needs: a fleet of simulated servers, by URL, and a transport and an API to reach them. Fails
 * with `InvalidFleet` for a bad URL.
 *
 * @category layers
 * @since 0.1.0
 */
export const place = (
  servers: Readonly<Record<string, SimulatedFleet.ServerOptions>>,
): Layer.Layer<Transport | OllamaApi | Fleet | SimulatedFleet.SimulatedFleet, FleetError> =>
  Layer.merge(SimulatedTransport.layer, SimulatedOllamaApi.layer).pipe(
    Layer.provideMerge(Layer.merge(StaticFleet.layer(Object.keys(servers)), SimulatedFleet.layer(servers))),
  )

/** A way in which a router takes a request. @category models @since 0.1.0 */
export type Way = (request: RoutedRequest, reply: ReplySink) => Effect.Effect<Settled>

/** The way in which servers call a router: with `route.start` where it has that. @category running @since 0.1.0 */
export const asServersDo = ({ route }: Router["Service"]): Way => {
  const { start } = route
  if (start === undefined) return route
  return (asked, reply) =>
    Effect.callback((resume) => {
      const routing = start(asked, reply, resume)
      return Effect.sync(() => routing.interrupt())
    })
}

/** All ways in which a router takes requests. They must do the same. @category running @since 0.1.0 */
export const ways = (router: Router["Service"]): readonly [Way, ...ReadonlyArray<Way>] =>
  router.route.start === undefined ? [router.route] : [router.route, asServersDo(router)]

/**
 * Routes one call that arrives now, as servers do, by default without a tenant and an address. Gives how it was
 * settled, and the reply as its client saw it.
 *
 * @category running
 * @since 0.1.0
 */
export const ask = (
  path: string,
  body: object | string,
  reply: RecordingReply = new RecordingReply(),
  headers: ReadonlyArray<string> = [],
  from: Partial<Pick<RoutedRequest, "address" | "queueMillis" | "tenant">> = {},
): Effect.Effect<{ readonly settled: Settled; readonly reply: RecordingReply }, never, Router> =>
  Effect.gen(function* () {
    const router = yield* Router
    const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
    const settled = yield* asServersDo(router)({ ...request(path, body, now, headers), ...from }, reply)
    return { settled, reply }
  })

/** What a router holds for its requests: counts. @category models @since 0.1.0 */
export interface Held {
  readonly active: number
  readonly flights: number
  readonly leases: number
  readonly exchanges: number
  readonly queues: number
}

type Parts = Router | Coalescer | Leases | Relay | Admission

/** What a router holds for its requests now. @category accessors @since 0.1.0 */
export const held: Effect.Effect<Held, never, Parts> = Effect.gen(function* () {
  return {
    active: (yield* Router).active(),
    flights: (yield* Coalescer).active(),
    leases: (yield* Leases).count(),
    exchanges: (yield* Relay).active(),
    queues: (yield* Admission).queues().length,
  }
})

/** What an idle router holds. @category constants @since 0.1.0 */
export const nothing: Held = { active: 0, flights: 0, leases: 0, exchanges: 0, queues: 0 }

/** Dies where a router holds something for a request, though none is under way. @category running @since 0.1.0 */
export const holdsNothing: Effect.Effect<void, never, Parts> = Effect.map(
  held,
  (what) => assert.deepStrictEqual(what, nothing),
)
