/**
 * The values of series. Effect looks a series up in the registry at each update, by a text with all of its labels: ten
 * look-ups for a request. A value here is found once, and read by the registry.
 *
 * @since 0.1.0
 */
import { Context, Metric } from "effect"

/** A value that is counted in. @category models @since 0.1.0 */
export interface Cell {
  readonly add: (value: number) => void
}

/** A value that the registry reads. */
interface Read<State> extends Cell {
  readonly get: () => State
}

class Counter implements Read<Metric.CounterState<number>> {
  private count = 0

  add(value: number): void {
    if (value >= 0) this.count += value
  }

  get(): Metric.CounterState<number> {
    return { count: this.count, incremental: true }
  }
}

class Histogram implements Read<Metric.HistogramState> {
  private readonly boundaries: Float64Array
  /** How many values were in each bucket, and above all of them. */
  private readonly counts: Uint32Array
  private count = 0
  private sum = 0
  private min = Number.MAX_VALUE
  private max = -Number.MAX_VALUE

  /** In ascending order. */
  constructor(boundaries: ReadonlyArray<number>) {
    this.boundaries = Float64Array.from(boundaries)
    this.counts = new Uint32Array(boundaries.length + 1)
  }

  add(value: number): void {
    const { boundaries } = this
    let bucket = 0
    while (bucket < boundaries.length && value > boundaries[bucket]!) bucket++
    this.counts[bucket]!++
    this.count++
    this.sum += value
    if (value < this.min) this.min = value
    if (value > this.max) this.max = value
  }

  get(): Metric.HistogramState {
    const { count, max, min, sum } = this
    let below = 0
    const buckets = Array.from(this.boundaries, (boundary, i): [number, number] => [boundary, below += this.counts[i]!])
    return { buckets, count, max, min, sum }
  }
}

interface Shared {
  readonly cell: Cell
  readonly registration: { readonly remove: () => void }
  /** Those that count in it: routers of one process share a registry. */
  users: number
}

const byRegistry = new WeakMap<object, Map<string, Shared>>()

const sharedOf = (context: Context.Context<never>): Map<string, Shared> => {
  const registry = Context.get(context, Metric.MetricRegistry)
  let known = byRegistry.get(registry)
  if (known === undefined) byRegistry.set(registry, known = new Map())
  return known
}

/** A place in a series, while it is counted. @category models @since 0.1.0 */
export interface Place {
  readonly cell: Cell
  /** The series leaves the registry when nobody counts in it any more. */
  readonly leave: () => void
}

/**
 * Takes a place in the series of a metric. Its value is in the registry of `context` from then on. `key` says which
 * series it is: routers that share a registry count in the same one. `boundaries`, in ascending order, are those of a
 * histogram; a counter has none.
 *
 * @category constructors
 * @since 0.1.0
 */
export const take = (
  metric: Metric.Metric<number, unknown>,
  key: string,
  boundaries: ReadonlyArray<number> | undefined,
  context: Context.Context<never>,
): Place => {
  const all = sharedOf(context)
  let shared = all.get(key)
  if (shared === undefined) {
    const cell: Read<unknown> = boundaries === undefined ? new Counter() : new Histogram(boundaries)
    const registration = Metric.registerUnsafe(metric, context, {
      get: () => cell.get(),
      update: () => {},
      modify: () => {},
    })
    shared = { cell, registration, users: 0 }
    all.set(key, shared)
  }
  const found = shared
  found.users++
  return {
    cell: found.cell,
    leave: () => {
      if (--found.users > 0) return
      found.registration.remove()
      if (all.get(key) === found) all.delete(key)
    },
  }
}
