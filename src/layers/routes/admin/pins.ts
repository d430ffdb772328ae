/**
 * The pins that operators have set. They end with the process.
 *
 * @since 0.1.0
 */
import type { Model } from "../../../services/ModelCatalog.ts"
import type { Pin, Residency } from "../../../services/Residency.ts"

/** @category models @since 0.1.0 */
export class OperatorPins {
  private readonly residency: Residency["Service"]
  private readonly pins = new Map<string, Map<string, Pin>>()

  constructor(residency: Residency["Service"]) {
    this.residency = residency
  }

  /** Keys of the models that are pinned on a backend. */
  of(backend: string): ReadonlyArray<string> {
    return Array.from(this.pins.get(backend)?.keys() ?? [])
  }

  has(backend: string, model: Model): boolean {
    return this.pins.get(backend)?.has(model.key) === true
  }

  /** Pins a model. Returns whether the residency keeps pins at all. */
  add(backend: string, model: Model): boolean {
    const pin = this.residency.pin(backend, model)
    if (!this.residency.pinned(backend, model)) {
      pin.release()
      return false
    }
    const pins = this.pins.get(backend) ?? new Map<string, Pin>()
    pins.set(model.key, pin)
    this.pins.set(backend, pins)
    return true
  }

  remove(backend: string, model: Model): void {
    const pins = this.pins.get(backend)
    pins?.get(model.key)?.release()
    pins?.delete(model.key)
    if (pins?.size === 0) this.pins.delete(backend)
  }

  /** Releases all pins. */
  release(): void {
    for (const pins of this.pins.values()) for (const pin of pins.values()) pin.release()
    this.pins.clear()
  }
}
