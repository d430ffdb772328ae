/**
 * Backends that join and leave the fleet.
 *
 * @since 0.1.0
 */
import { type Backend, loadsAlike, type Member } from "../../../services/Fleet.ts"
import { memberOf } from "../../../support/memberOf.ts"
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
  /**
   * Takes in what has changed in backends that stay in the fleet, and returns those backends. What they chose by
   * themselves before may no longer hold.
   */
  readonly changed: (members: ReadonlyArray<Member>) => ReadonlyArray<Backend>
  /** Forgets a backend and answers the fibers that wait for its queued loads. */
  readonly remove: (id: string) => void
}

/**
 * Gives a backend as the fleet has it now, because its devices and labels may change. After it has left: as it was.
 */
const following = (first: Backend, members: () => ReadonlyArray<Member>): () => Backend => {
  let seen: ReadonlyArray<Member> | undefined = undefined
  let last = first
  return () => {
    const now = members()
    if (now === seen) return last
    seen = now
    const found = memberOf(now, first.id)?.backend
    if (found?.url === first.url) last = found
    return last
  }
}

const noMembers: ReadonlyArray<Member> = []

/** `members` are those of the fleet; without it, backends do not change. @category constructors @since 0.1.0 */
export const make = (
  holdings: Holdings,
  loop: LoadLoop,
  members: () => ReadonlyArray<Member> = () => noMembers,
): Membership => {
  const { backends, catalog, listeners, nextSeq } = holdings
  const shown = new Map<string, Backend>()

  const add = (backend: Backend): Held => {
    const latest = following(backend, members)
    const models = new ResidentModels(backend.id, catalog, memoryOf(holdings, latest))
    const same: SameWeights = (one, other) => models.same(one, other)
    const held: Held = {
      models,
      loads: new Loads(latest, same, holdings.waiting),
      history: new LoadHistory(backend.id, same),
      conflicts: new Conflicts(),
      read: false,
    }
    backends.set(backend.id, held)
    shown.set(backend.id, latest())
    return held
  }

  return {
    heldOf: (backend) => backends.get(backend.id) ?? add(backend),
    changed: (now) =>
      now.flatMap(({ backend }): ReadonlyArray<Backend> => {
        const before = shown.get(backend.id)
        if (before === undefined || before === backend || before.url !== backend.url) return []
        shown.set(backend.id, backend)
        if (!loadsAlike(before, backend)) backends.get(backend.id)?.models.contexts.clear()
        return [backend]
      }),
    remove: (id) => {
      shown.delete(id)
      const held = backends.get(id)
      if (held === undefined) return
      backends.delete(id)
      held.models.forget(undefined, nextSeq())
      loop.happened(held, { _tag: "LeftFleet" })
      listeners.notify(undefined)
    },
  }
}
