import { assert, describe, it } from "@effect/vitest"
import * as FitsFilter from "../../src/plugins/filters/FitsFilter.ts"
import * as LabelFilter from "../../src/plugins/filters/LabelFilter.ts"
import * as FreeMemoryScorer from "../../src/plugins/scorers/FreeMemoryScorer.ts"
import * as LoadTimeScorer from "../../src/plugins/scorers/LoadTimeScorer.ts"
import { backend } from "../../src/services/Fleet.ts"
import { demandFor, modelOn } from "../support/demands.ts"
import { fleetOf, viewOf } from "../support/views.ts"

const model = modelOn("m:latest", "a")
const demand = demandFor(model)
const cold = (needs: number | undefined, room: number) =>
  viewOf("a", { residency: () => "absent", memory: () => ({ needs, room, limit: 100 }) })

describe("plugins of placement", () => {
  it("FitsFilter keeps a backend whose empty devices have room for the model, and one whose memory is not known", () => {
    const { keep } = FitsFilter.make()
    assert.deepStrictEqual([cold(100, 0), cold(101, 0), cold(undefined, 0)].map((view) => keep(view, demand)), [
      true,
      false,
      true,
    ])
    assert.isTrue(keep(viewOf("a", { memory: () => ({ needs: 101, room: 0, limit: 100 }) }), demand), "resident")
    assert.isTrue(keep(viewOf("a", { residency: () => "absent" }), demand), "not managed")
  })

  it("LabelFilter sends embedders to CPUs and chat to GPUs", () => {
    const { keep } = LabelFilter.make("device", ({ kind }) => kind === "embed" ? "cpu" : "gpu")
    const views = ["cpu", "gpu", undefined].map((device) =>
      viewOf("a", { backend: backend({ url: "http://a", labels: device === undefined ? {} : { device } }) })
    )
    assert.deepStrictEqual(views.map((view) => keep(view, demand)), [false, true, true])
    assert.deepStrictEqual(views.map((view) => keep(view, demandFor(model, { kind: "embed" }))), [true, false, true])
  })

  it("FreeMemoryScorer prefers free memory, and LoadTimeScorer short loads", () => {
    const fleet = fleetOf(["a"])
    const free = FreeMemoryScorer.make()
    const scores = [viewOf("a"), cold(10, 90), cold(10, 5), viewOf("a", { residency: () => "absent" })]
    assert.deepStrictEqual(scores.map((view) => Math.max(0, free.score(view, demand, fleet))), [1, 0.8, 0, 0])
    const time = LoadTimeScorer.make()
    const load = (residency: "absent" | "loading", millis: number) =>
      viewOf("a", { residency: () => residency, loadMillis: () => millis })
    assert.deepStrictEqual(
      [load("absent", 5000), load("loading", 5000), viewOf("a")].map((view) => time.score(view, demand, fleet)),
      [0.5, 0.75, 1],
    )
  })
})
