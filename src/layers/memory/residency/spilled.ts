/**
 * Layers in system memory that should be on a GPU.
 *
 * @since 0.1.0
 */
import { type Backend, onCpu } from "../../../services/Fleet.ts"
import type { PsModel } from "../../../services/OllamaApi.ts"

/**
 * `size_vram` below `size`. Nothing at all on a GPU is a spill only where the backend is known to have one: Ollama without a GPU says the same.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isSpilled = (backend: Backend, row: PsModel): boolean =>
  row.size_vram < row.size && !onCpu(backend) && (row.size_vram > 0 || backend.devices.length > 0)
