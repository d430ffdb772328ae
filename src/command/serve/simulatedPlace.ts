/** The simulated fleet, for a machine without an Ollama. */
import { Effect, Layer } from "effect"
import * as ReplaceableFleet from "../../layers/fleet/ReplaceableFleet.ts"
import type { Settings } from "../../layers/Settings.ts"
import type { FleetError } from "../../services/Fleet.ts"
import * as SimulatedFleet from "../../simulated/SimulatedFleet.ts"
import * as SimulatedGpuProbe from "../../simulated/SimulatedGpuProbe.ts"
import * as SimulatedOllamaApi from "../../simulated/SimulatedOllamaApi.ts"
import * as SimulatedTransport from "../../simulated/SimulatedTransport.ts"
import { elsewhere, listed, type Place } from "./liveFleet.ts"

const url = "http://simulated-a100:11434"
const backend = { url, id: "simulated-a100", devices: [SimulatedGpuProbe.uuid(url)] }
const named = elsewhere("a setting names backends now: the answers are simulated until a restart")

/** `isNamed`: whether settings name backends that count. `why` the answers are made up. */
export const place = Effect.fnUntraced(function* (
  settings: Settings,
  isNamed: (settings: Settings) => boolean,
  why: string,
): Effect.fn.Return<Place, FleetError> {
  const source: Place["source"] = (now) => isNamed(now) ? named : listed(now, backend)
  const first = yield* source(settings)
  const fleet = yield* ReplaceableFleet.make(first.backends)
  const simulated = SimulatedFleet.layer({
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
      fleet.layer,
      SimulatedGpuProbe.layer,
      SimulatedOllamaApi.layer,
      SimulatedTransport.layer,
    ).pipe(Layer.provide(simulated)),
    fleet,
    source,
    first,
    simulated: true,
    says: `${why}: answers come from a SIMULATED Ollama (an A100 80 GB), and mean nothing; ` +
      "LLAMERO_BACKENDS names real ones",
    model: SimulatedFleet.Model.llama31.name,
  }
})
