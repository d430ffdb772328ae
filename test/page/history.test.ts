import { assert, describe, it } from "@effect/vitest"
import { History, line, rates, type Sample } from "../../page/history.ts"

const sample = (at: number, fields: Partial<Sample["traffic"]>): Sample => ({
  at,
  traffic: {
    requests: 0,
    answered: 0,
    refused: 0,
    canceled: 0,
    failed: 0,
    shed: 0,
    retries: 0,
    cold: 0,
    prompt_tokens: 0,
    answer_tokens: 0,
    bytes_out: 0,
    queued_seconds: 0,
    first_byte_seconds: 0,
    first_bytes: 0,
    total_seconds: 0,
    ...fields,
  },
})

const last = (history: History) => history.points.at(-1)!

describe("rates", () => {
  it("are differences over the time between, and averages over the requests between", () => {
    const before = sample(1000, {
      requests: 10,
      answer_tokens: 100,
      queued_seconds: 1,
      first_bytes: 8,
      first_byte_seconds: 2,
    })
    const now = sample(3000, {
      requests: 14,
      failed: 1,
      shed: 1,
      answer_tokens: 500,
      queued_seconds: 3,
      first_bytes: 10,
      first_byte_seconds: 3,
    })
    assert.deepStrictEqual(rates(before, now), { requests: 2, failed: 1, tokens: 200, firstByte: 0.5 })
  })

  it("without requests there are no averages, and the rate is 0", () => {
    const { firstByte, requests } = rates(sample(0, { requests: 3 }), sample(1000, { requests: 3 }))
    assert.deepStrictEqual([requests, firstByte], [0, null])
  })

  it("nothing is known before the second sample, after a restart, and at the same moment", () => {
    const nothing = { requests: null, failed: null, tokens: null, firstByte: null }
    assert.deepStrictEqual(rates(undefined, sample(0, {})), nothing)
    assert.deepStrictEqual(rates(sample(0, { requests: 9 }), sample(1000, { requests: 2 })), nothing)
    assert.deepStrictEqual(rates(sample(5, {}), sample(5, {})), nothing)
  })
})

describe("the history", () => {
  it("averages over its window, and keeps at most its size", () => {
    const history = new History(4, 2)
    for (let i = 0; i < 10; i++) history.add(sample(i * 1000, { requests: i < 8 ? 0 : (i - 7) * 10 }))
    assert.strictEqual(history.points.length, 4)
    assert.deepStrictEqual(history.points.map(({ requests }) => requests), [0, 0, 5, 10])
  })

  it("a gap is a gap, and a restart does not give a negative rate", () => {
    const history = new History(10, 5)
    history.add(sample(0, { requests: 100 }))
    history.add(sample(1000, { requests: 110 }))
    assert.strictEqual(last(history).requests, 10)
    history.add(undefined)
    assert.strictEqual(last(history).requests, null)
    history.add(sample(3000, { requests: 2 }))
    history.add(sample(4000, { requests: 5 }))
    assert.strictEqual(last(history).requests, 3)
  })
})

describe("a line", () => {
  it("ends at the right edge, and the largest value is at the top", () => {
    assert.strictEqual(line([0, 5, 10], 5, 40, 22), "M20 21L30 11L40 1")
  })

  it("has gaps where nothing is known, and no path where nothing is known at all", () => {
    assert.strictEqual(line([1, null, 1, 1], 4, 30, 12), "M0 1M20 1L30 1")
    assert.strictEqual(line([null, null], 4, 30, 12), "")
    assert.strictEqual(line([], 4, 30, 12), "")
  })

  it("only zeros are at the bottom", () => {
    assert.strictEqual(line([0, 0], 2, 30, 12), "M0 11L30 11")
  })
})
