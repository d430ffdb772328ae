/**
 * Unloads what is least likely to be missed, and quickest to bring back.
 *
 * @since 0.1.0
 */
import type { Victim, VictimPicker } from "../../services/Plugin.ts"

/** Up to so many candidates every set is looked at: 2^10. */
const enumeratedMax = 10

interface Priced {
  readonly index: number
  readonly bytes: number
  readonly cost: number
  readonly lastUsedAt: number
}

interface Choice {
  readonly indices: ReadonlyArray<number>
  readonly cost: number
  readonly lastUsedAt: number
}

/** The cheaper, among equals the one whose newest member is older, then the smaller. */
const better = (a: Choice, b: Choice | undefined): boolean =>
  b === undefined || a.cost < b.cost ||
  (a.cost === b.cost &&
    (a.lastUsedAt < b.lastUsedAt || (a.lastUsedAt === b.lastUsedAt && a.indices.length < b.indices.length)))

const choice = (members: ReadonlyArray<Priced>): Choice => ({
  indices: members.map(({ index }) => index),
  cost: members.reduce((sum, { cost }) => sum + cost, 0),
  lastUsedAt: members.reduce((newest, { lastUsedAt }) => Math.max(newest, lastUsedAt), -Infinity),
})

const cheapest = (priced: ReadonlyArray<Priced>, wanted: number): Choice | undefined => {
  let best: Choice | undefined
  for (let set = 1; set < 2 ** priced.length; set++) {
    const members = priced.filter((_, bit) => (set >> bit & 1) === 1)
    if (members.reduce((sum, { bytes }) => sum + bytes, 0) < wanted) continue
    const candidate = choice(members)
    if (better(candidate, best)) best = candidate
  }
  return best
}

/** By cost for each byte; then whatever turned out not to be needed stays, the dearest first. */
const greedy = (priced: ReadonlyArray<Priced>, wanted: number): Choice | undefined => {
  const taken: Array<Priced> = []
  let bytes = 0
  for (
    const one of priced.filter((each) => each.bytes > 0)
      .toSorted((a, b) => a.cost / a.bytes - b.cost / b.bytes || a.lastUsedAt - b.lastUsedAt)
  ) {
    if (bytes >= wanted) break
    taken.push(one)
    bytes += one.bytes
  }
  if (bytes < wanted) return undefined
  for (const one of taken.toSorted((a, b) => b.cost - a.cost)) {
    if (bytes - one.bytes < wanted) continue
    taken.splice(taken.indexOf(one), 1)
    bytes -= one.bytes
  }
  return choice(taken)
}

/**
 * The cheapest set that frees enough. What a model costs is the probability that it is wanted within `horizonMillis` (from how often it was used of late),
 * times the milliseconds its load takes; twice that while it has been there for less than two loads' time, so that models do not chase each other. That is a
 * price, never a ban: a minimum residency makes everybody wait.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: {
  /** Defaults to 1 minute. Over many minutes everything is wanted again, and only the loads' times would tell. */
  readonly horizonMillis?: number | undefined
}): VictimPicker => {
  const horizon = options?.horizonMillis ?? 60_000
  if (!(horizon > 0)) throw new RangeError(`CostAwareVictimPicker.make: horizonMillis must be above 0, got ${horizon}`)
  const costOf = ({ loadMillis, loadedAt, rate }: Victim, now: number): number =>
    (1 - Math.exp(-rate * horizon)) * loadMillis * (now - loadedAt < 2 * loadMillis ? 2 : 1)
  return {
    kind: "victim-picker",
    name: "cost-aware",
    pick: (victims, wanted, now) => {
      const priced = victims.map((victim, index) => ({
        index,
        bytes: victim.bytes,
        cost: costOf(victim, now),
        lastUsedAt: victim.lastUsedAt,
      }))
      const found = priced.length <= enumeratedMax ? cheapest(priced, wanted) : greedy(priced, wanted)
      return found?.indices ?? []
    },
  }
}
