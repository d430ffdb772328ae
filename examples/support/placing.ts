/** How backends are chosen, and what operators can read about it: the plugins that the settings name. */
import type { Settings } from "../../src/layers/Settings.ts"
import * as DecisionHistory from "../../src/plugins/observers/DecisionHistory.ts"
import * as MaxScorePicker from "../../src/plugins/pickers/MaxScorePicker.ts"
import * as TwoChoicesPicker from "../../src/plugins/pickers/TwoChoicesPicker.ts"
import * as WeightedRandomPicker from "../../src/plugins/pickers/WeightedRandomPicker.ts"
import * as FreeMemoryScorer from "../../src/plugins/scorers/FreeMemoryScorer.ts"
import * as LeastBusyScorer from "../../src/plugins/scorers/LeastBusyScorer.ts"
import * as LoadTimeScorer from "../../src/plugins/scorers/LoadTimeScorer.ts"
import * as PeakEwma from "../../src/plugins/scorers/PeakEwma.ts"
import * as ResidentScorer from "../../src/plugins/scorers/ResidentScorer.ts"
import * as SessionAffinity from "../../src/plugins/scorers/SessionAffinity.ts"
import * as WeightScorer from "../../src/plugins/scorers/WeightScorer.ts"
import * as ZoneScorer from "../../src/plugins/scorers/ZoneScorer.ts"
import * as StandardProfile from "../../src/plugins/StandardProfile.ts"
import type { Decisions } from "../../src/services/Decisions.ts"
import * as LogControl from "../../src/services/LogControl.ts"
import type { Guard, Observer, Profile, Scorer } from "../../src/services/Plugin.ts"

/** The plugins that place requests, with those that feed them. */
export interface Placing {
  readonly profile: Profile
  readonly guards: ReadonlyArray<Guard>
  readonly observers: ReadonlyArray<Observer>
  /** The requests that `/admin/decisions` shows. */
  readonly decisions: Decisions | undefined
  /** The log that `/admin/log` changes. */
  readonly log: LogControl.LogControl
}

/** A scorer, and the guard or the observer that it works with. */
interface Scoring {
  readonly scorer: Scorer
  readonly guard?: Guard
  readonly observer?: Observer
}

type Scorings = { readonly [K in Settings["scorers"][number][0]]: (settings: Settings) => Scoring }

const scorings: Scorings = {
  resident: () => ({ scorer: ResidentScorer.make() }),
  "least-busy": () => ({ scorer: LeastBusyScorer.make() }),
  "free-memory": () => ({ scorer: FreeMemoryScorer.make() }),
  "load-time": () => ({ scorer: LoadTimeScorer.make() }),
  "peak-ewma": () => PeakEwma.make(),
  "session-affinity": ({ sessionHeader }) => SessionAffinity.make({ header: sessionHeader }),
  weight: () => ({ scorer: WeightScorer.make() }),
  zone: ({ zone }) => ({ scorer: ZoneScorer.make(zone) }),
}

const pickers = {
  "max-score": MaxScorePicker.make,
  "two-choices": TwoChoicesPicker.make,
  "weighted-random": WeightedRandomPicker.make,
}

export const placing = (settings: Settings): Placing => {
  const chosen = settings.scorers.map(([name, weight]) => ({ ...scorings[name](settings), weight }))
  // Only operators can read it.
  const isAsked = settings.decisions > 0 && settings.adminToken !== ""
  const history = isAsked ? DecisionHistory.make({ size: settings.decisions }) : undefined
  return {
    profile: {
      name: "settings",
      filters: StandardProfile.make().filters,
      scorers: chosen.map(({ scorer, weight }) => ({ scorer, weight })),
      picker: pickers[settings.picker](),
    },
    guards: chosen.flatMap(({ guard }) => guard ?? []),
    observers: [
      ...chosen.flatMap(({ observer }) => observer ?? []),
      ...(history === undefined ? [] : [history.observer]),
    ],
    decisions: history,
    log: LogControl.make({ level: settings.logLevel }),
  }
}
