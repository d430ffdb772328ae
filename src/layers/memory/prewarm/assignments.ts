/**
 * Which models the plans want on which backends, and the pins that keep them there.
 *
 * @since 0.1.0
 */
import type { Backend } from "../../../services/Fleet.ts"
import type { Model } from "../../../services/ModelCatalog.ts"
import type { PrewarmTarget } from "../../../services/Plugin.ts"
import type { Pin, Residency } from "../../../services/Residency.ts"

/** A model that a plan wants on a backend. @category models @since 0.1.0 */
export interface Assignment {
  readonly plan: string
  readonly target: PrewarmTarget
  readonly backend: Backend
  readonly model: Model
}

/** @category models @since 0.1.0 */
export class Assignments {
  private readonly residency: Residency["Service"]
  private readonly current = new Map<string, Assignment & { readonly pin: Pin | undefined }>()

  constructor(residency: Residency["Service"]) {
    this.residency = residency
  }

  /** The assignments of a plan. */
  of(plan: string): ReadonlyArray<Assignment> {
    return Array.from(this.current.values()).filter((each) => each.plan === plan)
  }

  /** Pins what is newly wanted. Releases, and unloads where the target says so, what is no longer wanted. */
  update(wanted: ReadonlyArray<Assignment>): void {
    const ids = new Set<string>()
    for (const each of wanted) {
      const { backend, model, plan, target } = each
      const id = `${plan} ${model.key} ${backend.id}`
      ids.add(id)
      const before = this.current.get(id)
      if (before !== undefined) {
        // The devices and labels of the backend may have changed.
        this.current.set(id, { ...each, pin: before.pin })
        continue
      }
      const pin = target.pinned === true ? this.residency.pin(backend.id, model) : undefined
      this.current.set(id, { ...each, pin })
    }
    for (const [id, { backend, model, pin, target }] of this.current) {
      if (ids.has(id)) continue
      this.current.delete(id)
      pin?.release()
      const wantedByOther = Array.from(this.current.values()).some((other) =>
        other.model.key === model.key && other.backend.id === backend.id
      )
      if (target.released === true && !wantedByOther) this.residency.unload(backend, model)
    }
  }

  /** Releases all pins. */
  release(): void {
    for (const { pin } of this.current.values()) pin?.release()
  }
}
