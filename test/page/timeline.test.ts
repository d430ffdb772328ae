import { assert, describe, it } from "@effect/vitest"
import { type Decision, reason, timeline } from "../../page/timeline.ts"

const decision = (fields?: Partial<Decision>): Decision => ({
  id: "r",
  at: "2026-01-01T00:00:10.000Z",
  route: "/api/chat",
  model: "m",
  tenant: "",
  result: "answered",
  status: 200,
  backend: "a",
  attempts: 1,
  outcome: "ok",
  first_byte_seconds: 3,
  queued_seconds: 1,
  total_seconds: 10,
  steps: [],
  ...fields,
})

const spans = (fields?: Partial<Decision>) =>
  timeline(decision(fields)).spans.map(({ from, kind, to }) => [kind, from, to])

describe("the life of a request", () => {
  it("is waiting, then the first byte, then the answer; the parts fill the line", () => {
    assert.deepStrictEqual(spans(), [["wait", 0, 0.1], ["first", 0.1, 0.4], ["answer", 0.4, 1]])
  })

  it("a part without length is left out", () => {
    assert.deepStrictEqual(spans({ queued_seconds: 0, first_byte_seconds: 10 }), [["first", 0, 1]])
  })

  it("a request that was never sent has only waited, or was refused", () => {
    const never = { attempts: 0, first_byte_seconds: undefined as never, queued_seconds: 0 }
    assert.deepStrictEqual(spans({ ...never, result: "refused" }), [["refused", 0, 1]])
    assert.deepStrictEqual(spans({ ...never, result: "canceled" }), [["wait", 0, 1]])
  })

  it("rounded times that add up to more than the whole do not leave the line", () => {
    const all = spans({ queued_seconds: 8, first_byte_seconds: 3 })
    assert.deepStrictEqual(all, [["wait", 0, 0.8], ["first", 0.8, 1]])
    assert.deepStrictEqual(spans({ total_seconds: 0, queued_seconds: 0, first_byte_seconds: 0 }).length, 1)
  })

  it("has its events as marks, by the time after the arrival", () => {
    const { marks } = timeline(decision({
      steps: [
        { event: "Placed", at: "2026-01-01T00:00:00.000Z", answer: "wait" },
        { event: "AttemptFailed", at: "2026-01-01T00:00:05.000Z", backend: "a", cause: "reset" },
        { event: "Placed", at: "2026-01-01T00:00:30.000Z", answer: "lease", took: "b" },
      ],
    }))
    assert.deepStrictEqual(marks.map(({ isFailure, name, position }) => [name, position, isFailure]), [
      ["queued", 0, false],
      ["attempt on a failed: reset", 0.5, true],
      ["placed on b", 1, false],
    ])
  })
})

describe("why a request ended as it did", () => {
  const candidate = (backend: string, residency: string, dropped_by?: string) => ({
    backend,
    residency,
    streams: 0,
    streams_max: 4,
    scores: {},
    total: 1,
    ...(dropped_by === undefined ? {} : { dropped_by }),
  })
  const placed = (...candidates: ReadonlyArray<ReturnType<typeof candidate>>) => ({
    steps: [{ event: "Placed", at: "2026-01-01T00:00:00.000Z", answer: "lease", took: "a", candidates }],
  })

  it("names what matters most", () => {
    const cases: ReadonlyArray<readonly [Partial<Decision>, string]> = [
      [{ result: "refused", refusal: "QueueFull" }, "QueueFull"],
      [{ result: "canceled" }, "client left"],
      [{ outcome: "gap-timeout" }, "gap-timeout"],
      [{ coalesced: "identical" }, "shared a call"],
      [{ attempts: 3 }, "after 2 failed attempts"],
      [{ cold: true }, "waited for a load"],
      [{}, "placed"],
      [placed(candidate("a", "absent"), candidate("b", "resident", "healthy")), "only candidate"],
      [placed(candidate("a", "resident"), candidate("b", "absent")), "in memory, best score"],
      [placed(candidate("a", "absent"), candidate("b", "absent")), "best score"],
    ]
    for (const [fields, text] of cases) assert.strictEqual(reason(decision(fields)), text)
  })
})
