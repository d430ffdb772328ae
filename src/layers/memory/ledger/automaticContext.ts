/**
 * The context length that Ollama chooses by itself.
 *
 * @since 0.1.0
 */
import { type Backend, onCpu } from "../../../services/Fleet.ts"
import type { DeviceAccount } from "./deviceAccount.ts"

/** Ollama's shortest context. */
const tokensMin = 4

/**
 * The context length that Ollama makes of the one it is asked for: a whole number of at least 4, and at most the
 * length that the model was trained with.
 *
 * @category conversions
 * @since 0.1.0
 */
export const allowedContext = (tokens: number | undefined, trained: number | undefined): number | undefined =>
  tokens === undefined || Number.isNaN(tokens)
    ? undefined
    : Math.max(tokensMin, Math.min(Math.floor(tokens), trained ?? 2 ** 31))

/**
 * The label `context-length` of the backend (its `OLLAMA_CONTEXT_LENGTH`), else a value by the sum of the devices'
 * memory, as in Ollama since 0.15.5 (`server/routes.go`): below 23 GiB 4096, below 47 GiB 32768, else 262144. At most
 * the length that the model was trained with. System memory does not count: on the CPU it is 4096.
 *
 * Ollama does not ask whether the model then fits. If it does not, layers are put into system memory. Only if that
 * memory is too small as well does Ollama try once more, with the next lower of these lengths. `/api/ps` shows what
 * came of it.
 *
 * @category conversions
 * @since 0.1.0
 */
export const automaticContext = (
  backend: Backend,
  devices: ReadonlyArray<DeviceAccount>,
  trained: number | undefined,
): number | undefined => {
  const labelled = Number(backend.labels["context-length"])
  if (labelled > 0) return allowedContext(labelled, trained)
  if (onCpu(backend)) return allowedContext(4096, trained)
  // Ollama counts its devices when it starts. One that was lost before it was ever read was most likely lost then.
  const counted = devices.filter(({ declared, total, unhealthy }) => !unhealthy || total !== undefined || declared)
  if (counted.length === 0) return undefined
  const totals = counted.map(({ declared, total }) => total ?? declared)
  if (totals.some((total) => total === undefined)) return undefined
  const gib = totals.reduce<number>((sum, total) => sum + (total ?? 0), 0) / 1024 ** 3
  return allowedContext(gib < 23 ? 4096 : gib < 47 ? 32_768 : 262_144, trained)
}
