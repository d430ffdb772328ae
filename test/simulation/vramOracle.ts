/**
 * Lower bounds for the trace of `vramTrace.ts`: the fewest cold starts of any router that loads a model when it is
 * asked for, and those of simple rules.
 */
import { footprint } from "../../src/simulated/scheduler/gpuMemory.ts"
import { runnerOptions } from "../../src/simulated/scheduler/options.ts"
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"
import { type Arrival, embedder, server } from "./vramTrace.ts"

const { Model } = SimulatedFleet
const parallelism = server.parallelism ?? 1
const gibibyte = 1024 ** 3

interface Known {
  readonly name: string
  readonly bytes: number
  readonly loadMillis: number
}

const models: ReadonlyArray<Known> = (server.models ?? []).map((model) => ({
  name: model.name,
  bytes: footprint(
    model,
    runnerOptions(model, {}, true, server.contextLength ?? 4096),
    Model.isEmbedder(model) ? 1 : parallelism,
  ),
  loadMillis: 1000 + model.size / (server.loadBandwidth ?? Infinity) * 1000,
}))
const indexOf = new Map(models.map(({ name }, index) => [name, index]))
/** The card's memory without the reserve. */
const capacity = 78 * gibibyte

const bytesOf = (set: number): number =>
  models.reduce((sum, { bytes }, i) => sum + ((set >> i & 1) === 1 ? bytes : 0), 0)
const sets = Array.from({ length: 2 ** models.length }, (_, set) => set).filter((set) => bytesOf(set) <= capacity)
const always = 1 << indexOf.get(embedder)!

/**
 * How many requests are cold if the model is loaded for the one at `at`: that one, and those that come before the load
 * has ended.
 */
const costs = (trace: ReadonlyArray<Arrival>): ReadonlyArray<number> =>
  trace.map(({ at, model }, i) => {
    const until = at + models[indexOf.get(model)!]!.loadMillis
    let cost = 0
    for (let j = i; j < trace.length && trace[j]!.at < until; j++) if (trace[j]!.model === model) cost++
    return cost
  })

/**
 * Belady's bound for models of different sizes: the best choice of models to unload when the whole future is known. The
 * embedding model is pinned.
 */
export const oracle = (trace: ReadonlyArray<Arrival>): number => {
  const cost = costs(trace)
  let best = new Map<number, number>([[always, 0]])
  trace.forEach(({ model }, i) => {
    const bit = 1 << indexOf.get(model)!
    const next = new Map<number, number>()
    const offer = (set: number, sum: number) => {
      if (sum < (next.get(set) ?? Infinity)) next.set(set, sum)
    }
    for (const [set, sum] of best) {
      if ((set & bit) !== 0) offer(set, sum)
      else {for (const kept of sets) {
          if ((kept & bit) !== 0 && (kept & always) !== 0 && (kept & ~(set | bit)) === 0) offer(kept, sum + cost[i]!)
        }}
    }
    best = next
  })
  return Math.min(...best.values())
}

/**
 * The same when only the past is known: the least recently used models are unloaded, the oldest first, until the model
 * fits.
 */
export const leastRecent = (trace: ReadonlyArray<Arrival>): number => {
  const cost = costs(trace)
  const lastAt = new Map<number, number>()
  let set = always
  let sum = 0
  trace.forEach(({ at, model }, i) => {
    const index = indexOf.get(model)!
    lastAt.set(index, at)
    if ((set >> index & 1) === 1) return
    sum += cost[i]!
    set |= 1 << index
    const oldestFirst = Array.from(lastAt).toSorted(([, a], [, b]) => a - b)
    for (const [other] of oldestFirst) {
      if (bytesOf(set) <= capacity) break
      if (other !== index && (1 << other) !== always) set &= ~(1 << other)
    }
  })
  return sum
}
