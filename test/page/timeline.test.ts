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

  const second = (seconds: number) => new Date(Date.UTC(2026, 0, 1) + seconds * 1000).toISOString()

  it("has every stage that it passed: the body, the checks, the queue, the load, the first byte, the answer", () => {
    const all = {
      arrived_at: second(-2),
      received_at: second(0),
      asked_at: second(1),
      loading_at: second(2),
      leased_at: second(5),
      first_byte_at: second(6),
    }
    const kinds = (fields: Partial<Decision>) =>
      timeline(decision(fields)).spans.map(({ kind, seconds }) => [kind, seconds])
    assert.deepStrictEqual(kinds(all), [
      ["receive", 2],
      ["checks", 1],
      ["wait", 1],
      ["load", 3],
      ["first", 1],
      ["answer", 4],
    ])
    const { loading_at: _, ...warm } = all
    assert.deepStrictEqual(kinds(warm).slice(2), [["wait", 4], ["first", 1], ["answer", 4]])
    const { leased_at: _leased, first_byte_at: _first, ...never } = all
    const refused = { ...never, attempts: 0, first_byte_seconds: undefined as never, result: "refused" } as const
    assert.deepStrictEqual(kinds(refused), [["receive", 2], ["checks", 1], ["wait", 1], ["load", 8]])
    assert.deepStrictEqual(kinds({ ...refused, loading_at: undefined as never }).at(-1), ["refused", 9])
    assert.deepStrictEqual(
      kinds({ ...never, attempts: 0, first_byte_seconds: undefined as never, result: "canceled" }),
      [
        ["receive", 2],
        ["checks", 1],
        ["wait", 1],
        ["load", 8],
      ],
    )
  })

  it("its parts are in order and fill the line, whatever the times say", () => {
    const times = [undefined, second(-1), second(0), second(3), second(9), second(30)]
    const pick = (seed: number) => times[seed % times.length] as string
    for (let seed = 0; seed < 2000; seed++) {
      const { spans } = timeline(decision({
        arrived_at: pick(seed),
        received_at: pick(seed * 7 + 1),
        asked_at: pick(seed * 3 + 2),
        loading_at: pick(seed * 11 + 3),
        leased_at: pick(seed * 13 + 4),
        first_byte_at: pick(seed * 17 + 5),
        attempts: seed % 3,
        result: (["answered", "refused", "canceled"] as const)[seed % 3]!,
      }))
      assert.isNotEmpty(spans)
      spans.forEach(({ from, to }, i) => {
        assert.closeTo(from, spans[i - 1]?.to ?? 0, 1e-9)
        assert.isAbove(to, from)
      })
      assert.closeTo(spans.at(-1)!.to, 1, 1e-9)
    }
  })

  it("names what waited for earlier attempts, and what waited for a load", () => {
    const names = timeline(decision({ attempts: 2 })).spans.map(({ name }) => name)
    assert.strictEqual(names[0], "waiting and earlier attempts")
    const { marks } = timeline(decision({ steps: [{ event: "Placed", at: second(1), answer: "loading" }] }))
    assert.strictEqual(marks[0]!.name, "queued for a load of its model")
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
      [{ result: "refused", refusal: "QueueFull" }, "queue full"],
      [{ result: "refused", refusal: "NoBackend" }, "no backend"],
      [{ result: "refused" }, "refused"],
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
