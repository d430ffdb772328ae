/** Wrong pickers, and other plugins over the view, are caught by the exported contracts. */
import { describe } from "@effect/vitest"
import * as HealthyFilter from "../../src/plugins/filters/HealthyFilter.ts"
import * as MaxScorePicker from "../../src/plugins/pickers/MaxScorePicker.ts"
import * as TwoChoicesPicker from "../../src/plugins/pickers/TwoChoicesPicker.ts"
import * as WeightedRandomPicker from "../../src/plugins/pickers/WeightedRandomPicker.ts"
import * as LeastBusyScorer from "../../src/plugins/scorers/LeastBusyScorer.ts"
import * as ResidentScorer from "../../src/plugins/scorers/ResidentScorer.ts"
import * as StandardProfile from "../../src/plugins/StandardProfile.ts"
import * as CostAwareVictimPicker from "../../src/plugins/victims/CostAwareVictimPicker.ts"
import * as NoVictimPicker from "../../src/plugins/victims/NoVictimPicker.ts"
import * as OllamaOrderVictimPicker from "../../src/plugins/victims/OllamaOrderVictimPicker.ts"
import type { Candidate, Filter, Picker, Scorer, VictimPicker } from "../../src/services/Plugin.ts"
import { PluginContract } from "../../src/testing/index.ts"
import { caught, passes } from "./caught.ts"

const { filter, picker, scorer, victimPicker } = PluginContract

const picking = (pick: Picker["pick"]) => picker({ kind: "picker", name: "wrong", pick })
const scoring = (score: Scorer["score"]) => scorer({ kind: "scorer", name: "wrong", score })
const keeping = (keep: Filter["keep"]) => filter({ kind: "filter", name: "wrong", keep })
const unloading = (pick: VictimPicker["pick"]) => victimPicker({ kind: "victim-picker", name: "wrong", pick })

for (const right of [MaxScorePicker.make(), TwoChoicesPicker.make(), WeightedRandomPicker.make()]) {
  passes(`picker ${right.name}`, picker(right))
}
const standard = StandardProfile.make()
for (const right of [LeastBusyScorer.make(), ResidentScorer.make(), ...standard.scorers.map(({ scorer }) => scorer)]) {
  passes(`scorer ${right.name}`, scorer(right))
}
for (const right of [HealthyFilter.make(), ...standard.filters]) passes(`filter ${right.name}`, filter(right))
for (const right of [CostAwareVictimPicker.make(), OllamaOrderVictimPicker.make(), NoVictimPicker.make()]) {
  passes(`victim picker ${right.name}`, victimPicker(right))
}

let calls = 0

describe("a wrong picker", () => {
  caught(
    "that counts from one",
    picking((candidates) => candidates.length),
    "picks one of the candidates, however many there are",
    /\d+ of \d+ candidates/,
  )
  caught(
    "that picks nothing from a single candidate",
    picking((candidates) => candidates.length > 1 ? 1 : -1),
    "picks one of the candidates, however many there are",
    /-1 of 1 cand/,
  )
  caught(
    "that answers a fraction",
    picking((candidates) => candidates.length / 2),
    "picks one of the candidates, however many there are",
    /is not an index/,
  )
  caught(
    "that sorts the candidates in place",
    picking((candidates) => {
      // A plugin can do this with a cast.
      const list = candidates as Array<Candidate>
      list.sort((a, b) => b.score - a.score)
      return 0
    }),
    "repeats itself under one seed, and leaves the candidates as they are",
    /the candidates changed/,
  )
  caught(
    "that picks by a counter of its own",
    picking((candidates) => calls++ % candidates.length),
    "repeats itself under one seed, and leaves the candidates as they are",
    /./,
  )
  caught(
    "that picks no candidate when none has a score",
    picking((candidates) => candidates.findIndex(({ score }) => score > 0)),
    "picks one of the candidates, however many there are",
    /-1 of/,
  )
})

describe("a wrong scorer, filter or victim picker", () => {
  caught(
    "scores beyond 1",
    scoring((view) => view.streams),
    "rates every backend in [0, 1], and the same way again",
    /is rated [2-8]/,
  )
  caught(
    "divides by zero",
    scoring((view) => view.streams / view.streams),
    "rates every backend in [0, 1], and the same way again",
    /is rated NaN/,
  )
  caught(
    "rates differently each time",
    scoring(() => ++calls / 1e6),
    "rates every backend in [0, 1], and the same way again",
    /./,
  )
  caught(
    "changes the demand",
    scoring((_, demand) => {
      demand.priority = "interactive"
      return 1
    }),
    "rates every backend in [0, 1], and the same way again",
    /priority/,
  )
  caught(
    "keeps every second backend that it is asked for",
    keeping(() => calls++ % 2 === 0),
    "says yes or no to every backend, and the same again",
    /./,
  )
  caught(
    "unloads the first, even where that frees too little",
    unloading((victims) => victims.length > 0 ? [0] : []),
    "picks different victims that free enough, or none",
    /still has no room/,
  )
  caught(
    "unloads one twice",
    unloading((victims) => victims.length > 0 ? [0, 0] : []),
    "picks different victims that free enough, or none",
    /twice/,
  )
  caught(
    "unloads a model that is not in the list",
    unloading((victims) => [victims.length]),
    "picks different victims that free enough, or none",
    /of \d+/,
  )
})
