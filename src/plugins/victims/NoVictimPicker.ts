/**
 * Unloads nothing to make room.
 *
 * @since 0.1.0
 */
import type { VictimPicker } from "../../services/Plugin.ts"

/** Picks nothing: a load waits until Ollama has unloaded a model by itself. @category constructors @since 0.1.0 */
export const make = (): VictimPicker => ({ kind: "victim-picker", name: "none", pick: () => [] })
