/**
 * Series of metrics that are made once and then updated without a look-up by labels.
 *
 * @since 0.1.0
 */
import { type Context, Metric } from "effect"
import type { Trace } from "../services/Trace.ts"
import { Exemplars, inRegistry, keyOf } from "./exemplars.ts"
import * as MetricCells from "./metricCells.ts"
import { SweptMap } from "./sweptMap.ts"

/** Values of labels by name. @category models @since 0.1.0 */
export type Labels = Readonly<Record<string, string>>

/** The name, the meaning and the kind of a metric. @category models @since 0.1.0 */
export interface Definition {
  readonly name: string
  readonly description: string
  /** Upper boundaries of the buckets of a histogram; a counter has none. */
  readonly boundaries?: ReadonlyArray<number> | undefined
}

/** A counter. @category constructors @since 0.1.0 */
export const counter = (name: string, description: string): Definition => ({ name, description })

/** A histogram. @category constructors @since 0.1.0 */
export const histogram = (name: string, description: string, boundaries: ReadonlyArray<number>): Definition => ({
  name,
  description,
  boundaries,
})

type Updated = Metric.Metric<number, unknown>

const metricOf = ({ boundaries, description, name }: Definition, attributes: Labels): Updated =>
  boundaries === undefined
    ? Metric.counter(name, { description, incremental: true, attributes })
    : Metric.histogram(name, { description, boundaries, attributes })

/**
 * One series. It appears in the registry when it is first updated. Its value is a cell of its own, which the registry
 * reads: an update through Effect looks the series up by a text with all labels.
 *
 * @category models
 * @since 0.1.0
 */
export class Series {
  private readonly definition: Definition
  private readonly labels: Labels
  private readonly context: Context.Context<never>
  private place: MetricCells.Place | undefined = undefined
  private cell: MetricCells.Cell | undefined = undefined

  constructor(definition: Definition, labels: Labels, context: Context.Context<never>) {
    this.definition = definition
    this.labels = labels
    this.context = context
  }

  /** Adds to a counter, or counts a value in a histogram. */
  add(value: number): void {
    if (this.cell === undefined) this.take().add(value)
    else this.cell.add(value)
  }

  /** Removes it from the registry, until it is updated again. */
  remove(): void {
    this.place?.leave()
    this.place = this.cell = undefined
  }

  private take(): MetricCells.Cell {
    const { context, definition, labels } = this
    const key = keyOf(definition.name, labels)
    this.place = MetricCells.take(metricOf(definition, labels), key, definition.boundaries, context)
    return this.cell = this.place.cell
  }
}

/** The series of a histogram, with exemplars. @category models @since 0.1.0 */
export class SeriesWithExemplars extends Series {
  private readonly exemplars: Exemplars
  private readonly forget: () => void

  constructor(definition: Definition, labels: Labels, context: Context.Context<never>) {
    super(definition, labels, context)
    const [all, key] = [inRegistry(context), keyOf(definition.name, labels)]
    this.exemplars = new Exemplars(definition.boundaries ?? [])
    all.set(key, this.exemplars)
    this.forget = () => void all.delete(key)
  }

  /** Counts a value of a request. `at` in milliseconds since the epoch. */
  observe(value: number, at: number, requestId: string, trace: Trace | undefined): void {
    this.add(value)
    this.exemplars.note(value, at, requestId, trace)
  }

  override remove(): void {
    super.remove()
    this.forget()
  }
}

/**
 * The series of one metric that differ in one label. The values have to be a small set.
 *
 * @category models
 * @since 0.1.0
 */
export class Labelled {
  private readonly definition: Definition
  private readonly labels: Labels
  private readonly label: string
  private readonly context: Context.Context<never>
  private readonly known = new Map<string, Series>()

  constructor(definition: Definition, labels: Labels, label: string, context: Context.Context<never>) {
    this.definition = definition
    this.labels = labels
    this.label = label
    this.context = context
  }

  add(of: string, value: number): void {
    let series = this.known.get(of)
    if (series === undefined) {
      series = new Series(this.definition, { ...this.labels, [this.label]: of }, this.context)
      this.known.set(of, series)
    }
    series.add(value)
  }

  remove(): void {
    for (const series of this.known.values()) series.remove()
  }
}

/**
 * For events that are rare: a function that updates the series of given labels. Series that are not counted any more
 * leave the registry: those of backends that have left, and of models that are gone.
 *
 * @category constructors
 * @since 0.1.0
 */
export const rare = (definition: Definition, context: Context.Context<never>) => {
  const known = new SweptMap<Series>({ dropped: (series) => series.remove() })
  return (value: number, labels: Labels): void => {
    const key = Object.values(labels).join("\u0000")
    known.getOrMake(key, () => new Series(definition, labels, context)).add(value)
  }
}
