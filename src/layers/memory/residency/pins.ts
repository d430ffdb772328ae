/**
 * Models that may not be unloaded.
 *
 * @since 0.1.0
 */
import type { Pin } from "../../../services/Residency.ts"
import type { ResidentModels } from "./residentModels.ts"
import { SweptMap } from "../../../support/sweptMap.ts"

/** Counts pins by backend and model. The model need not be in memory. @category models @since 0.1.0 */
export class Pins {
  private readonly backends = new SweptMap<Map<string, number>>({ sweepAt: 64, isIdle: ({ size }) => size === 0 })

  /** Whether the model is pinned on this backend, under this name or under another name of the same weights. */
  has(models: ResidentModels, model: string): boolean {
    const counts = this.backends.get(models.backend)
    if (counts === undefined) return false
    if (counts.has(model)) return true
    for (const name of counts.keys()) if (models.same(name, model)) return true
    return false
  }

  add(backend: string, model: string): Pin {
    let counts = this.backends.get(backend)
    if (counts === undefined) this.backends.set(backend, counts = new Map())
    const pinned = counts
    pinned.set(model, (pinned.get(model) ?? 0) + 1)
    let released = false
    return {
      release: () => {
        if (released) return
        released = true
        const left = (pinned.get(model) ?? 1) - 1
        if (left > 0) pinned.set(model, left)
        else pinned.delete(model)
      },
    }
  }
}
