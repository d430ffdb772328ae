import type { Checker, Place } from "./sights.ts"

interface Waiting {
  readonly place: Place
  /** Turns that each tenant has had since it began to wait. */
  readonly turns: Map<string, number>
}

/**
 * Invariant 9: of one model and class, while a tenant waits, no other has more turns than it has, but for `slack`: what it had in hand when the wait began.
 */
export const fairness = (options: { readonly slack: number }): Checker => {
  const lines = new Map<string, Map<Place, Waiting>>()
  const line = ({ model, priority }: Place): Map<Place, Waiting> => {
    const key = `${model} ${priority}`
    let found = lines.get(key)
    if (found === undefined) lines.set(key, found = new Map())
    return found
  }
  return {
    invariant: 9,
    name: "fairness",
    see: {
      // A second attempt goes in front of everyone: it has waited its turn.
      waiting: (place) => void (place.again || line(place).set(place, { place, turns: new Map() })),
      gone: (place) => void line(place).delete(place),
      granted: (place) => {
        if (place.again) return
        const all = line(place)
        const mine = all.get(place)
        all.delete(place)
        for (const { turns } of all.values()) turns.set(place.tenant, (turns.get(place.tenant) ?? 0) + 1)
        if (mine === undefined) return
        const own = (mine.turns.get(place.tenant) ?? 0) + 1
        for (const [tenant, turns] of mine.turns) {
          if (tenant !== place.tenant && turns > own + options.slack) {
            return `${place.id} of ${place.tenant} waited for ${turns} of ${tenant} and ${own} of its own (${place.model})`
          }
        }
      },
    },
  }
}
