/** The simulated fleet, for a machine without an Ollama. */
import { Layer } from "effect"
import * as StaticFleet from "../../layers/fleet/StaticFleet.ts"
import type { Settings } from "../../layers/Settings.ts"
import * as SimulatedFleet from "../../simulated/SimulatedFleet.ts"
import * as SimulatedGpuProbe from "../../simulated/SimulatedGpuProbe.ts"
import * as SimulatedOllamaApi from "../../simulated/SimulatedOllamaApi.ts"
import * as SimulatedTransport from "../../simulated/SimulatedTransport.ts"
import type { Place } from "./place.ts"

/** `limits`: what every backend of the settings gets. */
export const place = (
  settings: Settings,
  limits: { readonly parallelism: number; readonly streamsMax: number },
): Place => {
  const url = "http://simulated-a100:11434"
  const fleet = SimulatedFleet.layer({
    [url]: {
      gpus: ["80 GiB"],
      models: [SimulatedFleet.Model.llama31, SimulatedFleet.Model.mistral, SimulatedFleet.Model.embedder],
      loadBandwidth: 4e9,
      prefillRate: 5000,
      decodeRate: 100,
      parallelism: settings.parallelism,
    },
  })
  return {
    layer: Layer.mergeAll(
      StaticFleet.layer([{ url, id: "simulated-a100", devices: [SimulatedGpuProbe.uuid(url)], ...limits }]),
      SimulatedGpuProbe.layer,
      SimulatedOllamaApi.layer,
      SimulatedTransport.layer,
    ).pipe(Layer.provide(fleet)),
    simulated: true,
    says: "no Ollama found: answers come from a SIMULATED one (an A100 80 GB), and mean nothing; " +
      "LLAMERO_BACKENDS names real ones",
    model: SimulatedFleet.Model.llama31.name,
  }
}
