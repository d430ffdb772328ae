/**
 * A ledger for fleets whose memory is not known, so that Ollama manages it.
 *
 * @since 0.1.0
 */
import { Effect, Layer } from "effect"
import { VramLedger } from "../../../services/VramLedger.ts"
import * as Listeners from "../../../support/listeners.ts"
import { UnchargedAllocations } from "./unchargedAllocations.ts"

/**
 * Refuses only a second load on a backend while one is under way.
 *
 * **Details**
 *
 * Loads are serial because Ollama's scheduler loads one model at a time, and because two models that load at the same
 * time may both count on the same free memory. `managed` is false: Ollama decides whether a model fits, and spills
 * are only reported.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<VramLedger> = Layer.effect(
  VramLedger,
  Effect.map(Listeners.logged<void>("freed memory"), (listeners) => {
    const allocations = new UnchargedAllocations(() => listeners.notify())
    return VramLedger.of({
      managed: () => false,
      prepare: () => undefined,
      needs: () => undefined,
      room: () => undefined,
      limit: () => undefined,
      context: ({ labels }) => Number(labels["context-length"]) || undefined,
      reserve: (backend, model) => allocations.reserve(backend, model.key),
      adopt: (backend, model) => allocations.adopt(backend, model),
      observe: () => {},
      allocations: () => Array.from(allocations.held),
      devices: () => [],
      refresh: Effect.void,
      onChange: listeners.add,
    })
  }),
)
