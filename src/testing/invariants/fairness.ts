import type { Checker, Place } from "./sights.ts"

interface Waiting {
  readonly place: Place
  /** Turns that each tenant has had since it began to wait. */
  readonly turns: Map<string, number>
}

/**
 * Invariant 9: of one model and class, while a tenant waits and could go, no other has more turns than it has, but for one.
 *
 * In start-time fair queueing the next starts of all that wait are within one turn of each other: whoever is served has the earliest, and goes back by one. So
 * who begins to wait when it has just been served lets each other go twice before its first turn, and in step from then on. That is the one; the bound of two
 * that is known for any stretch of time is for one that may begin and end between turns, and this one ends with a turn of the tenant's own.
 *
 * While it waits for a load it could not have gone, and who passes it takes no turn of its own. What counts as waiting for a load is what a commit for its
 * tenant and the same wants has said at that very time, so one that is never asked is not taken to wait.
 */
export const fairness = (): Checker => {
  const lines = new Map<string, Map<Place, Waiting>>()
  /** By model, tenant and wants: when one was last told that it waits for a load. */
  const held = new Map<string, number>()
  const line = ({ model, priority }: Place): Map<Place, Waiting> => {
    const key = `${model} ${priority}`
    let found = lines.get(key)
    if (found === undefined) lines.set(key, found = new Map())
    return found
  }
  const alike = ({ model, tenant, wants }: Place): string => `${model} ${tenant} ${wants}`
  return {
    invariant: 9,
    name: "fairness",
    see: {
      // A second attempt goes in front of everyone: it has waited its turn.
      waiting: (place) => void (place.again || line(place).set(place, { place, turns: new Map() })),
      gone: (place) => void line(place).delete(place),
      passedBy: ({ at, place }) => void (place.again || held.set(alike(place), at)),
      granted: ({ at, place }) => {
        if (place.again) return
        const all = line(place)
        const mine = all.get(place)
        all.delete(place)
        for (const { place: other, turns } of all.values()) {
          const passes = other.tenant !== place.tenant && held.get(alike(other)) === at
          if (!passes) turns.set(place.tenant, (turns.get(place.tenant) ?? 0) + 1)
        }
        held.delete(alike(place))
        if (mine === undefined) return
        const own = (mine.turns.get(place.tenant) ?? 0) + 1
        for (const [tenant, turns] of mine.turns) {
          if (tenant !== place.tenant && turns > own + 1) {
            return `${place.id} of ${place.tenant} waited for ${turns} of ${tenant} and ${own} of its own (${place.model})`
          }
        }
      },
    },
  }
}
