import { assert, describe, it } from "@effect/vitest"
import * as DecisionReplay from "../../../src/layers/placement/DecisionReplay.ts"
import * as HealthyFilter from "../../../src/plugins/filters/HealthyFilter.ts"
import * as MaxScorePicker from "../../../src/plugins/pickers/MaxScorePicker.ts"
import * as WeightedRandomPicker from "../../../src/plugins/pickers/WeightedRandomPicker.ts"
import * as LeastBusyScorer from "../../../src/plugins/scorers/LeastBusyScorer.ts"
import * as ResidentScorer from "../../../src/plugins/scorers/ResidentScorer.ts"
import type { Profile } from "../../../src/services/Plugin.ts"
import { candidate, decision, placed } from "../../support/placed.ts"

const resident: Profile = {
  name: "resident",
  filters: [HealthyFilter.make()],
  scorers: [{ scorer: ResidentScorer.make(), weight: 1 }],
  picker: MaxScorePicker.make(),
}
const idle: Profile = { ...resident, name: "idle", scorers: [{ scorer: LeastBusyScorer.make(), weight: 1 }] }

/** `a` has the model and is busy, `b` is idle without it, `c` is drained. */
const candidates = [
  candidate("a", { streams: 3, streamsOfModel: 3, limitOfModel: 4 }),
  candidate("b", { residency: "absent" }),
  candidate("c", { member: "draining" }),
]

describe("DecisionReplay", () => {
  it("asks another profile about the candidates as they were", () => {
    const recorded = decision({}, [placed({ candidates })])
    const [same] = DecisionReplay.replay(recorded, resident)
    assert.deepStrictEqual([same!.took, same!.order[0], same!.would], ["a", "a", "a"])
    const [other] = DecisionReplay.replay(recorded, idle)
    assert.strictEqual(other!.order[0], "b")
    assert.strictEqual(other!.took, "a")
    assert.strictEqual(other!.reasons.find(({ backend }) => backend === "c")?.droppedBy, "healthy")
    assert.deepStrictEqual(Object.keys(other!.reasons[0]!.scores), ["least-busy"])
  })

  it("would take the first that could give a lease", () => {
    const full = [
      candidate("a", { streamsOfModel: 1, limitOfModel: 1, total: 2 }),
      candidate("b", { streams: 1, streamsOfModel: 0 }),
    ]
    const [replayed] = DecisionReplay.replay(decision({}, [placed({ candidates: full, took: "b" })]), resident)
    assert.deepStrictEqual([replayed!.order, replayed!.would], [["a", "b"], "b"])
    const none = full.map((one) => ({ ...one, breaker: "open" as const }))
    const [nowhere] = DecisionReplay.replay(
      decision({}, [placed({ candidates: none, took: undefined, answer: "refused" })]),
      resident,
    )
    assert.strictEqual(nowhere!.would, undefined)
  })

  it("replays every recorded placement, without those on which an attempt had failed", () => {
    const again = placed({ attempt: 2, took: "b", candidates })
    const excluded = { ...again, demand: { ...again.demand, excluded: ["a"] } }
    const failed = { _tag: "AttemptFailed", at: 0, id: "r", backend: "a", cause: "reset" } as const
    const replayed = DecisionReplay.replay(decision({}, [placed({ candidates }), failed, excluded]), resident)
    assert.deepStrictEqual(replayed.map(({ attempt, order }) => [attempt, order]), [[1, ["a", "b"]], [2, ["b"]]])
    assert.deepStrictEqual(DecisionReplay.replay(decision({}, [failed]), resident), [])
  })

  it("gives the same answer each time, also with a picker that draws", () => {
    const random = { ...idle, picker: WeightedRandomPicker.make() }
    const recorded = decision({}, [placed({ candidates })])
    assert.deepStrictEqual(DecisionReplay.replay(recorded, random), DecisionReplay.replay(recorded, random))
    const draws = [0, 0.99].map((draw) => DecisionReplay.replay(recorded, random, () => draw)[0]!.order[0])
    assert.notStrictEqual(draws[0], draws[1])
  })
})
