/** How backends are chosen, and what operators can read about it: the plugins that the settings name. */
import type { Settings } from "../../layers/Settings.ts"
import * as Live from "../../services/Live.ts"
import * as DecisionHistory from "../../plugins/observers/DecisionHistory.ts"
import * as MaxScorePicker from "../../plugins/pickers/MaxScorePicker.ts"
import * as TwoChoicesPicker from "../../plugins/pickers/TwoChoicesPicker.ts"
import * as WeightedRandomPicker from "../../plugins/pickers/WeightedRandomPicker.ts"
import * as FreeMemoryScorer from "../../plugins/scorers/FreeMemoryScorer.ts"
import * as LeastBusyScorer from "../../plugins/scorers/LeastBusyScorer.ts"
import * as LoadTimeScorer from "../../plugins/scorers/LoadTimeScorer.ts"
import * as PeakEwma from "../../plugins/scorers/PeakEwma.ts"
import * as ResidentScorer from "../../plugins/scorers/ResidentScorer.ts"
import * as SessionAffinity from "../../plugins/scorers/SessionAffinity.ts"
import * as WeightScorer from "../../plugins/scorers/WeightScorer.ts"
import * as ZoneScorer from "../../plugins/scorers/ZoneScorer.ts"
import * as StandardProfile from "../../plugins/StandardProfile.ts"
import type { Decisions } from "../../services/Decisions.ts"
import * as LogControl from "../../services/LogControl.ts"
import type { Guard, Observer, Profile, Scorer } from "../../services/Plugin.ts"
import { type Running, running } from "./live.ts"

/** The plugins that place requests, with those that feed them, and the settings that they follow. */
export interface Placing {
  readonly running: Running
  readonly profile: Live.Live<Profile>
  readonly guards: ReadonlyArray<Guard>
  readonly observers: ReadonlyArray<Observer>
  /** The requests that `/admin/decisions` shows. */
  readonly decisions: Live.Live<Decisions | undefined>
  /** The log that `/admin/log` changes. */
  readonly log: LogControl.LogControl
}

type ScorerName = Settings["scorers"][number][0]
type Scorers = { readonly [K in ScorerName]: (settings: Settings) => Scorer }

const isNamed = (live: Live.Live<Settings>, scorer: ScorerName): Live.Live<boolean> =>
  Live.map(live, ({ scorers }) => scorers.some(([name]) => name === scorer))

/**
 * All scorers that a setting may name, and the guard and the observer that two of them work with. These two are off
 * while their scorer is not named. A scorer that is named again still knows what it has learned.
 */
const scorings = (live: Live.Live<Settings>) => {
  const peak = PeakEwma.make()
  const session = SessionAffinity.make({ header: live.now.sessionHeader })
  const [measures, follows] = [isNamed(live, "peak-ewma"), isNamed(live, "session-affinity")]
  const scorers: Scorers = {
    resident: () => ResidentScorer.make(),
    "least-busy": () => LeastBusyScorer.make(),
    "free-memory": () => FreeMemoryScorer.make(),
    "load-time": () => LoadTimeScorer.make(),
    "peak-ewma": () => peak.scorer,
    "session-affinity": () => session.scorer,
    weight: () => WeightScorer.make(),
    zone: ({ zone }) => ZoneScorer.make(zone),
  }
  const guard: Guard = { ...session.guard, isOff: () => !follows.now }
  const observer: Observer = { ...peak.observer, isOff: () => !measures.now }
  return { scorers, guard, observer }
}

const pickers = {
  "max-score": MaxScorePicker.make,
  "two-choices": TwoChoicesPicker.make,
  "weighted-random": WeightedRandomPicker.make,
}

export const placing = (settings: Settings): Placing => {
  const now = running(settings)
  const live = now.settings
  const { guard, observer, scorers } = scorings(live)
  // Only operators can read it.
  const size = Live.map(live, ({ decisions }) => settings.adminToken === "" ? 0 : decisions)
  const history = DecisionHistory.make({ size })
  const { filters } = StandardProfile.make()
  return {
    running: now,
    profile: Live.map(live, (settings) => ({
      name: "settings",
      filters,
      scorers: settings.scorers.map(([name, weight]) => ({ scorer: scorers[name](settings), weight })),
      picker: pickers[settings.picker](),
    })),
    guards: [guard],
    observers: [observer, history.observer],
    decisions: Live.map(size, (size) => size === 0 ? undefined : history),
    log: LogControl.make({ level: settings.logLevel }),
  }
}
