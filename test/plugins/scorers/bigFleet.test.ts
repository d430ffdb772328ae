/** Scorers that compare a backend with all others look at each of them once for a ranking. */
import { assert, describe, it } from "@effect/vitest"
import * as PeakEwma from "../../../src/plugins/scorers/PeakEwma.ts"
import * as SessionAffinity from "../../../src/plugins/scorers/SessionAffinity.ts"
import * as WeightScorer from "../../../src/plugins/scorers/WeightScorer.ts"
import { backend } from "../../../src/services/Fleet.ts"
import type { BackendView, FleetView } from "../../../src/services/FleetView.ts"
import type { Scorer } from "../../../src/services/Plugin.ts"
import { demandFor, modelOn } from "../../support/demands.ts"
import { viewOf } from "../../support/views.ts"

const count = 300
const demand = demandFor(modelOn("m:latest"), { session: 4711 })

/** A fleet that counts how often a view was read. */
const fleetOf = (streams: (i: number) => number) => {
  const seen = { reads: 0 }
  const made = Array.from({ length: count }, (_, i) => {
    const own = backend({ url: `http://b${i}:11434`, id: `b${i}`, weight: 1 + i % 3 })
    const view = viewOf(`b${i}`, { backend: own })
    return Object.defineProperties({ ...view }, {
      streams: { get: () => (seen.reads++, streams(i)) },
      backend: { get: () => (seen.reads++, own) },
    }) as BackendView
  })
  const plain: FleetView = { backends: made, owners: () => made, find: () => undefined }
  return { seen, made, plain, still: (moment: number): FleetView => ({ ...plain, moment }) }
}

const ewma = () => {
  const { observer, scorer } = PeakEwma.make()
  for (let i = 0; i < count; i += 2) {
    const settled = { backend: `b${i}`, outcome: { kind: "success", cause: "ok", firstByteMillis: 10 + i % 17 } }
    observer.observe({ _tag: "RequestSettled", at: 0, settled } as never)
  }
  return scorer
}

const scorers: Readonly<Record<string, () => Scorer>> = {
  PeakEwma: ewma,
  WeightScorer: WeightScorer.make,
  SessionAffinity: () => SessionAffinity.make().scorer,
}

for (const [name, make] of Object.entries(scorers)) {
  describe(name, () => {
    it("scores during a ranking as it scores alone", () => {
      const scorer = make()
      const { made, plain, still } = fleetOf((i) => i % 4)
      const fleet = still(1)
      for (const view of made) {
        assert.strictEqual(scorer.score(view, demand, fleet), make().score(view, demand, plain), view.backend.id)
      }
    })

    it("looks at each backend a few times for a whole ranking", () => {
      const scorer = make()
      const { made, seen, still } = fleetOf((i) => i % 4)
      const fleet = still(1)
      seen.reads = 0
      for (const view of made) scorer.score(view, demand, fleet)
      assert.isBelow(seen.reads, 20 * count)
    })

    it("sees in the next ranking what has changed", () => {
      const scorer = make()
      let busy = 0
      const { made, plain, still } = fleetOf((i) => i === 0 ? busy : 1)
      const first = still(1)
      for (const view of made) scorer.score(view, demand, first)
      busy = 500
      const second = { ...first, moment: 2 }
      for (const view of made) {
        assert.strictEqual(scorer.score(view, demand, second), make().score(view, demand, plain), view.backend.id)
      }
    })
  })
}
