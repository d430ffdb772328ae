/**
 * Detects layers in system memory that should be on a GPU.
 *
 * @since 0.1.0
 */
import { type Backend, onCpu } from "../../../services/Fleet.ts"
import type { PsModel } from "../../../services/OllamaApi.ts"

/**
 * Whether `size_vram` is below `size` although the model should be on a GPU.
 *
 * A model with no bytes on a GPU is a spill only where the backend is known to have a GPU: Ollama without a GPU
 * reports the same numbers.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isSpilled = (backend: Backend, row: PsModel): boolean =>
  row.size_vram < row.size && !onCpu(backend) && (row.size_vram > 0 || backend.devices.length > 0)
