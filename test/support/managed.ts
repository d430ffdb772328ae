/** A router over simulated servers whose GPU memory it manages. */
import { Layer } from "effect"
import * as StaticFleet from "../../src/layers/fleet/StaticFleet.ts"
import * as MemoryVramLedger from "../../src/layers/memory/ledger/MemoryVramLedger.ts"
import * as Standard from "../../src/layers/Standard.ts"
import type { BackendInput } from "../../src/services/Fleet.ts"
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"
import * as SimulatedGpuProbe from "../../src/simulated/SimulatedGpuProbe.ts"
import * as SimulatedOllamaApi from "../../src/simulated/SimulatedOllamaApi.ts"
import * as SimulatedTransport from "../../src/simulated/SimulatedTransport.ts"
import * as SimulatedModelFootprints from "../../src/simulated/SimulatedModelFootprints.ts"
import { url } from "./routers.ts"

/** As `over`, with a ledger that reads the simulated GPUs. */
export const overManaged = <const S extends Standard.Swaps = Record<never, never>>(
  servers: Readonly<Record<string, SimulatedFleet.ServerOptions>>,
  swaps?: S,
  backend?: Partial<Exclude<BackendInput, string>>,
) => {
  const fleet: ReadonlyArray<BackendInput> = Object.entries(servers).map(([id, options]) => ({
    parallelism: options.parallelism ?? 1,
    ...backend,
    url: url(id),
    id,
    devices: (options.gpus ?? []).map((_, index) => SimulatedGpuProbe.uuid(url(id), index)),
    labels: {
      ...(options.contextLength === undefined ? {} : { "context-length": String(options.contextLength) }),
      ...backend?.labels,
    },
  }))
  return Standard.layer(
    { ledger: MemoryVramLedger.layer(), ...swaps } as S & { ledger: ReturnType<typeof MemoryVramLedger.layer> },
  ).pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        SimulatedGpuProbe.layer,
        SimulatedModelFootprints.layer,
        SimulatedTransport.layer,
        SimulatedOllamaApi.layer,
      ),
    ),
    Layer.provideMerge(StaticFleet.layer(fleet)),
    Layer.provideMerge(
      SimulatedFleet.layer(Object.fromEntries(Object.entries(servers).map(([id, one]) => [url(id), one]))),
    ),
  )
}
