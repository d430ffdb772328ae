/**
 * Backends that join and leave the fleet.
 *
 * @since 0.1.0
 */
import type { Backend } from "../../../services/Fleet.ts"
import { Conflicts } from "./conflicts.ts"
import type { Held, Holdings } from "./holdings.ts"
import { LoadHistory } from "./loadHistory.ts"
import type { LoadLoop } from "./loadLoop.ts"
import { Loads, type SameWeights } from "./loadQueue.ts"
import { memoryOf } from "./reading.ts"
import { ResidentModels } from "./residentModels.ts"

/** @category models @since 0.1.0 */
export interface Membership {
  /** The state of a backend; an empty one for a backend that is new. */
  readonly heldOf: (backend: Backend) => Held
  /** Forgets a backend and answers the fibers that wait for its queued loads. */
  readonly remove: (id: string) => void
}

/** @category constructors @since 0.1.0 */
export const make = (holdings: Holdings, loop: LoadLoop): Membership => {
  const { backends, catalog, listeners, nextSeq } = holdings

  const add = (backend: Backend): Held => {
    const models = new ResidentModels(backend.id, catalog, memoryOf(holdings, backend))
    const same: SameWeights = (one, other) => models.same(one, other)
    const held: Held = {
      models,
      loads: new Loads(backend, same),
      history: new LoadHistory(backend.id, same),
      conflicts: new Conflicts(),
      read: false,
    }
    backends.set(backend.id, held)
    return held
  }

  return {
    heldOf: (backend) => backends.get(backend.id) ?? add(backend),
    remove: (id) => {
      const held = backends.get(id)
      if (held === undefined) return
      backends.delete(id)
      held.models.forget(undefined, nextSeq())
      loop.happened(held, { _tag: "LeftFleet" })
      listeners.notify(undefined)
    },
  }
}
