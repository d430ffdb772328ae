/**
 * Measures the plugins of a profile.
 *
 * @since 0.1.0
 */
import type { Clock, Context } from "effect"
import type { Profile } from "../../services/Plugin.ts"
import { histogram, Labelled } from "../../support/metricSeries.ts"

const durations = histogram(
  "llamero_plugin_duration_seconds",
  "Time of a filter, a scorer or a picker for one request, over all candidates; every 64th placement is measured",
  [0.000_001, 0.000_005, 0.000_025, 0.000_1, 0.000_5, 0.0025, 0.01, 0.1, 1],
)

/** Reading the clock takes longer than most plugins. */
const sampleEvery = 64

/** The sum of the times of each plugin of one kind in one placement, in nanoseconds. */
class Times {
  private readonly clock: Clock.Clock
  private readonly series: Labelled
  private readonly nanos = new Map<string, bigint>()

  constructor(clock: Clock.Clock, series: Labelled) {
    this.clock = clock
    this.series = series
  }

  of<A>(plugin: string, call: () => A): A {
    const since = this.clock.currentTimeNanosUnsafe()
    const answer = call()
    this.nanos.set(plugin, (this.nanos.get(plugin) ?? 0n) + this.clock.currentTimeNanosUnsafe() - since)
    return answer
  }

  count(): void {
    for (const [plugin, nanos] of this.nanos) this.series.add(plugin, Number(nanos) / 1e9)
    this.nanos.clear()
  }
}

/** The metrics of the plugins of a placement. The names of plugins are fixed texts. @internal */
export class PluginMeter {
  private readonly clock: Clock.Clock
  private readonly filters: Labelled
  private readonly scorers: Labelled
  private readonly pickers: Labelled
  private placements = 0

  constructor(clock: Clock.Clock, context: Context.Context<never>) {
    this.clock = clock
    const of = (kind: string) => new Labelled(durations, { kind }, "plugin", context)
    this.filters = of("filter")
    this.scorers = of("scorer")
    this.pickers = of("picker")
  }

  /** Whether to measure this placement. */
  isSampled(): boolean {
    return this.placements++ % sampleEvery === 0
  }

  /**
   * A profile that measures its plugins. `end` counts the filters and the scorers; the picker is counted when it is
   * asked, which may be later or never.
   */
  timed(profile: Profile): { readonly profile: Profile; readonly end: () => void } {
    const [filters, scorers, pickers] = [this.filters, this.scorers, this.pickers]
      .map((series) => new Times(this.clock, series)) as [Times, Times, Times]
    const { filters: keeping, name, picker, scorers: scoring } = profile
    const { before } = picker
    const pick: Profile["picker"]["pick"] = (...of) => {
      const picked = pickers.of(picker.name, () => picker.pick(...of))
      pickers.count()
      return picked
    }
    return {
      profile: {
        name,
        filters: keeping.map((one) => ({
          kind: "filter",
          name: one.name,
          keep: (...of) => filters.of(one.name, () => one.keep(...of)),
        })),
        scorers: scoring.map(({ scorer: one, weight }) => ({
          scorer: { kind: "scorer", name: one.name, score: (...of) => scorers.of(one.name, () => one.score(...of)) },
          weight,
        })),
        picker: { kind: "picker", name: picker.name, pick, ...(before === undefined ? {} : { before }) },
      },
      end: () => {
        filters.count()
        scorers.count()
      },
    }
  }
}
