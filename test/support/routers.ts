/** The whole default router over a simulated fleet, without sockets and in virtual time. */
import { Layer } from "effect"
import * as StaticFleet from "../../src/layers/fleet/StaticFleet.ts"
import * as Standard from "../../src/layers/Standard.ts"
import type { BackendInput } from "../../src/services/Fleet.ts"
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"
import * as SimulatedOllamaApi from "../../src/simulated/SimulatedOllamaApi.ts"
import * as SimulatedTransport from "../../src/simulated/SimulatedTransport.ts"

export { request } from "../../src/testing/requests.ts"
export { ask, held as idle, nothing } from "../../src/testing/routers.ts"

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
