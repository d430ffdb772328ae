import type { QueuePlace } from "./observations.ts"
import type { Checker } from "./watch.ts"

interface Waiting {
  readonly place: QueuePlace
  /** When it began to wait, in milliseconds. */
  readonly since: number
  /** Turns that each tenant has had since this request began to wait. */
  readonly turns: Map<string, number>
}

type Lines = ReadonlyMap<string, Map<QueuePlace, Waiting>>

/**
 * Drops the requests that have left their class. Called with every time that is observed: while a clock is ahead,
 * requests age, and they stay aged when it goes back.
 */
const dropAged = (lines: Lines, now: number, ageMillis: number): void => {
  if (ageMillis === Infinity) return
  for (const waiting of lines.values()) {
    for (const [place, { since }] of waiting) if (now - since >= ageMillis) waiting.delete(place)
  }
}

/**
 * Invariant 9: among requests of one model and class, while a request of a tenant waits and could be admitted, no
 * other tenant has more than one turn more than its tenant has.
 *
 * **Details**
 *
 * The bound comes from start-time fair queueing. The next start times of all tenants that wait are within one turn of
 * each other. The tenant with the earliest start time is served, and its next start moves back by one turn. So a
 * tenant that begins to wait just after it was served lets each other tenant go twice before its own next turn, and
 * once for each turn from then on. The known bound of two turns, for any stretch of time, does not apply here: the
 * stretch that is checked ends with a turn of the tenant's own.
 *
 * A request that waits for a load could not be admitted, so requests that pass it take no turn from it. A request
 * counts as waiting for a load when a commit for its tenant, with the same wants, was told so at that very time. A
 * request that is never asked for again does therefore not count as waiting for a load.
 *
 * A request that has waited for `ageMillis` has left its class, and so has a request that a more urgent one has joined.
 * It is not checked any more, and its admission takes no turn from the class that it left; for the requests of its own
 * tenant it counts as a turn.
 *
 * Exercised by requests that were admitted while another tenant waited in the same queue and class.
 */
export const fairness = (options?: {
  /** After so many milliseconds a waiting request counts as one class better. Defaults to never. */
  readonly ageMillis?: number | undefined
}): Checker => {
  const ageMillis = options?.ageMillis ?? Infinity
  const lines = new Map<string, Map<QueuePlace, Waiting>>()
  /** When a request was last told that it waits for a load, by model, tenant and wants. */
  const held = new Map<string, number>()
  let turnsTaken = 0
  const line = ({ model, priority }: QueuePlace): Map<QueuePlace, Waiting> => {
    const key = `${model} ${priority}`
    let found = lines.get(key)
    if (found === undefined) lines.set(key, found = new Map())
    return found
  }
  const alike = ({ model, tenant, wants }: QueuePlace): string => `${model} ${tenant} ${wants}`
  const forgetAged = (now: number): void => dropAged(lines, now, ageMillis)
  /** A request that has left its class takes a turn of its tenant, for that tenant only. */
  const takeOwnTurn = ({ model, tenant }: QueuePlace): void => {
    for (const [key, waiting] of lines) {
      if (!key.startsWith(`${model} `)) continue
      for (const { place, turns } of waiting.values()) {
        if (place.tenant === tenant) turns.set(tenant, (turns.get(tenant) ?? 0) + 1)
      }
    }
  }
  return {
    invariant: 9,
    name: "fairness",
    exercised: () => ({ "requests admitted while another tenant waited": turnsTaken }),
    on: {
      // A second attempt goes to the front: the request has waited its turn.
      waiting: ({ at, place }) => {
        if (!place.again) line(place).set(place, { place, since: at, turns: new Map() })
      },
      gone: (place) => void line(place).delete(place),
      event: ({ at }) => forgetAged(at),
      passedBy: ({ at, place }) => {
        forgetAged(at)
        if (!place.again) held.set(alike(place), at)
      },
      granted: ({ at, place, raised = false }) => {
        forgetAged(at)
        if (place.again) return
        const all = line(place)
        const mine = all.get(place)
        all.delete(place)
        if (mine === undefined || raised) return takeOwnTurn(place)
        let contended = false
        for (const { place: other, turns } of all.values()) {
          const passes = other.tenant !== place.tenant && held.get(alike(other)) === at
          if (passes) continue
          turns.set(place.tenant, (turns.get(place.tenant) ?? 0) + 1)
          contended ||= other.tenant !== place.tenant
        }
        if (contended) turnsTaken++
        held.delete(alike(place))
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
