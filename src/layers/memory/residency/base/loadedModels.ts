/**
 * The models that a `ResidencyBase` takes to be in memory.
 *
 * @since 0.1.0
 */
import type { LoadEnd, ResidencyState, ResidentModel } from "../../../../services/Residency.ts"
import type { Listeners } from "../../../../support/listeners.ts"
import type { UseRate } from "../useRate.ts"
import { SweptMap } from "../../../../support/sweptMap.ts"

/** A model in memory, or on its way there. @category models @since 0.1.0 */
export interface Held {
  readonly backend: string
  readonly model: string
  state: "loading" | "resident"
  /** Requests that use the model. */
  uses: number
  /** When requests have used the model; `undefined` before the first. */
  used: UseRate | undefined
}

/** @category models @since 0.1.0 */
export const idOf = (backend: string, model: string): string => `${backend} ${model}`

/** The models in memory, by what was loaded, used and given up. @category models @since 0.1.0 */
export class LoadedModels {
  readonly held: SweptMap<Held> = new SweptMap({ isIdle: ({ state, uses }) => uses === 0 && state === "resident" })
  /** Must not throw: they are called between the steps of a load. */
  readonly listeners: Listeners<LoadEnd | undefined>

  constructor(listeners: Listeners<LoadEnd | undefined>) {
    this.listeners = listeners
  }

  state(backend: string, model: string): ResidencyState {
    return this.held.get(idOf(backend, model))?.state ?? "absent"
  }

  put(backend: string, model: string, state: "loading" | "resident"): Held {
    const id = idOf(backend, model)
    const held = this.held.get(id)
    if (held !== undefined && held.state === state) return held
    const put = held ?? { backend, model, state, uses: 0, used: undefined }
    put.state = state
    this.held.set(id, put)
    return put
  }

  /** A model that is being loaded stays. */
  forget(backend: string, model?: string): void {
    let changed = false
    for (const [id, held] of this.held.pairs()) {
      if (held.backend !== backend || held.state === "loading" || (model !== undefined && held.model !== model)) {
        continue
      }
      this.held.delete(id)
      changed = true
    }
    if (changed) this.listeners.notify(undefined)
  }

  list(backend: string): ReadonlyArray<ResidentModel> {
    return Array.from(this.held.values()).filter((held) => held.backend === backend).map(({ model, state }) => ({
      backend,
      model,
      state,
      size: undefined,
      sizeVram: undefined,
      contextLength: undefined,
      expiresAt: undefined,
      source: "assumed",
    }))
  }
}
