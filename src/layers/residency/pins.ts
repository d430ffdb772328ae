/**
 * Models that are not to be unloaded.
 *
 * @since 0.1.0
 */
import type { Pin } from "../../services/Residency.ts"

/** By backend and model, whether it is in memory or not. @category models @since 0.1.0 */
export class Pins {
  private readonly counts = new Map<string, number>()

  has(backend: string, model: string): boolean {
    return this.counts.has(`${backend} ${model}`)
  }

  add(backend: string, model: string): Pin {
    const id = `${backend} ${model}`
    this.counts.set(id, (this.counts.get(id) ?? 0) + 1)
    let released = false
    return {
      release: () => {
        if (released) return
        released = true
        const left = (this.counts.get(id) ?? 1) - 1
        if (left > 0) this.counts.set(id, left)
        else this.counts.delete(id)
      },
    }
  }
}
