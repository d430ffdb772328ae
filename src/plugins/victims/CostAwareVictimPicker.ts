/**
 * Unloads the models that are least likely to be used soon and quickest to load again.
 *
 * @since 0.1.0
 */
import type { Victim, VictimPicker } from "../../services/Plugin.ts"

/** With at most this many victims every set of them is compared (2^10 sets). With more, a greedy choice is made. */
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

/** The lower cost is better; then the set whose newest use is older; then the smaller set. */
const better = (a: Choice, b: Choice | undefined): boolean =>
  b === undefined || a.cost < b.cost ||
  (a.cost === b.cost &&
    (a.lastUsedAt < b.lastUsedAt || (a.lastUsedAt === b.lastUsedAt && a.indices.length < b.indices.length)))

const choice = (members: ReadonlyArray<Priced>): Choice => ({
  indices: members.map(({ index }) => index),
  cost: members.reduce((sum, { cost }) => sum + cost, 0),
  lastUsedAt: members.reduce((newest, { lastUsedAt }) => Math.max(newest, lastUsedAt), -Infinity),
})

/** The cheapest of all sets that free enough. */
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

/**
 * Takes victims in the order of their cost for each byte. Then it keeps those that are not needed, the most costly
 * first.
 */
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
 * Picks the cheapest set of victims that frees enough.
 *
 * **Details**
 *
 * The cost of a model is the probability that it is used within `horizonMillis`, times the milliseconds of its load.
 * The probability is that of a Poisson process with the model's recent rate: `1 - exp(-rate * horizonMillis)`. The cost
 * is doubled while the model has been in memory for less than the time of two loads, so that two models do not replace
 * each other in turn. A recent load only raises the cost; it does not protect a model, since then every load would have
 * to wait.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: {
  /**
   * Milliseconds ahead for which uses are predicted, above 0. Defaults to 1 minute. With many minutes every model is
   * likely to be used, so that only the times of loads would count.
   */
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
