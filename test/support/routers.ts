/** The whole default router over a simulated fleet, with no sockets and no real time. */
import { Effect, Layer } from "effect"
import * as SimulatedFleet from "../../src/layers/SimulatedFleet.ts"
import * as SimulatedOllamaApi from "../../src/layers/SimulatedOllamaApi.ts"
import * as SimulatedTransport from "../../src/layers/SimulatedTransport.ts"
import * as Standard from "../../src/layers/Standard.ts"
import * as StaticFleet from "../../src/layers/StaticFleet.ts"
import type { BackendInput } from "../../src/services/Fleet.ts"
import { Admission } from "../../src/services/Admission.ts"
import { Coalescer } from "../../src/services/Coalescer.ts"
import { Leases } from "../../src/services/Leases.ts"
import { Relay } from "../../src/services/Relay.ts"
import { Router, type Settled } from "../../src/services/Router.ts"
import { request } from "../../src/testing/requests.ts"
import { RecordingReply } from "../../src/testing/replies.ts"

export const url = (id: string): string => `http://${id}:11434`

/** A standard router over simulated servers named by id. */
export const over = <const S extends Standard.Swaps = Record<never, never>>(
  servers: Readonly<Record<string, SimulatedFleet.ServerOptions>>,
  swaps?: S,
  backend?: Partial<Exclude<BackendInput, string>>,
) => {
  const ids = Object.keys(servers)
  return Standard.layer(swaps ?? {} as S).pipe(
    Layer.provideMerge(Layer.merge(SimulatedTransport.layer, SimulatedOllamaApi.layer)),
    Layer.provideMerge(StaticFleet.layer(ids.map((id) => ({ ...backend, url: url(id), id })))),
    Layer.provideMerge(SimulatedFleet.layer(Object.fromEntries(ids.map((id) => [url(id), servers[id]!])))),
  )
}

export { request }

/** Routes one call, and gives back what the client saw. */
export const ask = (
  path: string,
  body: object | string,
  reply = new RecordingReply(),
  headers: ReadonlyArray<string> = [],
) =>
  Effect.gen(function* () {
    const router = yield* Router
    const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
    const settled: Settled = yield* router.route(request(path, body, now, headers), reply)
    return { settled, reply }
  })

/** Invariant 2: an idle router holds nothing. */
export const idle = Effect.gen(function* () {
  const held = {
    active: (yield* Router).active(),
    flights: (yield* Coalescer).active(),
    leases: (yield* Leases).count(),
    exchanges: (yield* Relay).active(),
    queues: (yield* Admission).queues().length,
  }
  return held
})
export const nothing = { active: 0, flights: 0, leases: 0, exchanges: 0, queues: 0 }
