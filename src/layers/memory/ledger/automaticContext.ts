/**
 * The context that Ollama chooses by itself.
 *
 * @since 0.1.0
 */
import type { Backend } from "../../../services/Fleet.ts"
import type { DeviceBook } from "./deviceBook.ts"

/** Ollama's least context; a request may say anything. */
const leastTokens = 4

/** Whole, positive, and no more than the model was trained with, as Ollama makes it. @category conversions @since 0.1.0 */
export const sane = (tokens: number | undefined, trained: number | undefined): number | undefined =>
  tokens === undefined || Number.isNaN(tokens)
    ? undefined
    : Math.max(leastTokens, Math.min(Math.floor(tokens), trained ?? 2 ** 31))

/**
 * By the label `context-length` (the server's `OLLAMA_CONTEXT_LENGTH`), else by the sum of the devices' memory as Ollama does since 0.15.5
 * (`server/routes.go`): below 23 GiB 4096, below 47 GiB 32768, else 262144. Clamped to what the model was trained with.
 *
 * @category conversions
 * @since 0.1.0
 */
export const automaticContext = (
  backend: Backend,
  devices: ReadonlyArray<DeviceBook>,
  trained: number | undefined,
): number | undefined => {
  const said = Number(backend.labels["context-length"])
  if (said > 0) return sane(said, trained)
  if (devices.length === 0) return undefined
  const totals = devices.map(({ declared, total }) => total ?? declared)
  if (totals.some((total) => total === undefined)) return undefined
  const gib = totals.reduce<number>((sum, total) => sum + (total ?? 0), 0) / 1024 ** 3
  return sane(gib < 23 ? 4096 : gib < 47 ? 32_768 : 262_144, trained)
}
