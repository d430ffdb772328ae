/**
 * A ledger for fleets whose memory is not known: Ollama manages it.
 *
 * @since 0.1.0
 */
import { Effect, Layer } from "effect"
import { VramLedger } from "../../../services/VramLedger.ts"
import { PlainAllocations } from "./plainAllocations.ts"

/**
 * Keeps account of allocations and refuses only a second load on a backend where one has not ended.
 *
 * **Details**
 *
 * Loads are serial because Ollama's scheduler loads one model at a time anyway, and because two unmeasured models that load at once may both
 * believe in the same free memory. `managed` is false: whether a model fits is for Ollama to say, and spills are only reported.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<VramLedger> = Layer.sync(VramLedger, () => {
  const plain = new PlainAllocations()
  return VramLedger.of({
    managed: () => false,
    prepare: () => undefined,
    needs: () => undefined,
    room: () => undefined,
    limit: () => undefined,
    context: ({ labels }) => Number(labels["context-length"]) || undefined,
    reserve: (backend, model) => plain.reserve(backend, model.key),
    adopt: (backend, model) => plain.adopt(backend, model),
    observe: () => {},
    allocations: () => Array.from(plain.held),
    devices: () => [],
    refresh: Effect.void,
    onChange: plain.changed.add,
  })
})
