import { assert, describe, it } from "@effect/vitest"
import { parser } from "../../page/sse.ts"
import { brokenModels, changed, condition, ordered, outOfService, problems, urgency } from "../../page/state.ts"
import { itemsOf } from "../../page/views/backends.ts"
import { backend, device, state } from "../support/pageState.ts"

const ids = (list: ReadonlyArray<{ readonly id: string }>) => list.map(({ id }) => id)

describe("a change of the state", () => {
  it("replaces whole backends and devices by id, and adds new ones; the rest stays the same object", () => {
    const before = state()
    const after = changed(before, { at: "later", backends: [backend("b", { streams: 3 }), backend("d")] })
    assert.deepStrictEqual(ids(after.backends), ["a", "b", "c", "d"])
    assert.strictEqual(after.backends[1]!.streams, 3)
    assert.strictEqual(after.backends[0], before.backends[0])
    assert.strictEqual(after.devices, before.devices)
    assert.strictEqual(after.at, "later")
  })

  it("drops what is gone, whether it is a backend or a device", () => {
    const after = changed(state(), { gone: ["backends/a", "devices/GPU-b"] })
    assert.deepStrictEqual(ids(after.backends), ["b", "c"])
    assert.deepStrictEqual(after.devices.map(({ device }) => device), ["GPU-a", "GPU-c"])
  })

  it("replaces whole lists", () => {
    const prewarm = [{ plan: "p", model: "m", backend: null, state: "pending", reason: "", since: null } as const]
    assert.deepStrictEqual(changed(state(), { prewarm }).prewarm, prewarm)
    assert.deepStrictEqual(changed(state({ prewarm }), { prewarm: [] }).prewarm, [])
  })
})

describe("the items of the fleet", () => {
  it("are the same objects where neither the backend nor a device of it has changed", () => {
    const items = itemsOf()
    const first = state()
    const before = items(first)
    const after = items(changed(first, { devices: [device("GPU-b", { held: 9 })] }))
    assert.strictEqual(after[0], before[0])
    assert.notStrictEqual(after[1], before[1])
    assert.strictEqual(after[2], before[2])
    const read = items(changed(first, { devices: [device("GPU-b", { held: 9, read_at: "later" })] }))
    assert.strictEqual(read[1], after[1])
  })
})

describe("what is urgent", () => {
  it("comes first, else the order of the fleet stays", () => {
    const all = [
      backend("well"),
      backend("drained", { member: "draining" }),
      backend("draining", { member: "draining", streams: 2 }),
      backend("half", { breaker: "half-open" }),
      backend("dead", { health: "unhealthy" }),
      backend("open", { breaker: "open" }),
      backend("well too"),
    ]
    assert.deepStrictEqual(ids(ordered(all)), ["dead", "open", "half", "drained", "draining", "well", "well too"])
    assert.deepStrictEqual(all.map((one) => urgency(one)), [0, 1, 1, 2, 3, 3, 0])
    assert.deepStrictEqual(all.map((one) => condition(one)), [
      "healthy",
      "drained",
      "draining",
      "breaker half-open",
      "unhealthy",
      "breaker open",
      "healthy",
    ])
  })

  it("a model whose breaker is not closed makes its backend urgent, and no other", () => {
    const breakers = [
      { backend: "b", model: "m", state: "open", retry_seconds: 3 },
      { backend: "b", model: "n", state: "half-open", retry_seconds: 0 },
      { backend: "a", model: null, state: "open", retry_seconds: 3 },
      { backend: "c", model: "m", state: "closed", retry_seconds: 0 },
    ] as const
    const broken = brokenModels({ breakers })
    assert.deepStrictEqual([...broken], [["b", ["m", "n"]]])
    const all = [backend("a"), backend("b"), backend("c")]
    assert.deepStrictEqual(ids(ordered(all, broken)), ["b", "a", "c"])
    assert.strictEqual(condition(all[1]!, broken.get("b")), "2 breakers tripped")
    assert.strictEqual(condition(backend("b", { health: "unhealthy" }), broken.get("b")), "unhealthy")
    const items = itemsOf()
    const first = items(state())
    const later = items(state({ breakers }))
    assert.notStrictEqual(later.find(({ backend: one }) => one.id === "b"), first[1])
    assert.deepStrictEqual(later[0]!.broken, ["m", "n"])
  })

  it("a drain tells how much is left, and when it is over", () => {
    const told = (member: "draining" | "isolated", streams: number) => outOfService(backend("a", { member, streams }))
    assert.strictEqual(told("draining", 12), "is draining by an operator: 12 requests under way")
    assert.strictEqual(told("draining", 1), "is draining by an operator: 1 request under way")
    assert.strictEqual(told("draining", 0), "is drained by an operator: it can be stopped")
    assert.strictEqual(told("isolated", 1), "is isolated by an operator: 1 request under way")
  })

  it("an empty, healthy or idle router has no problems", () => {
    assert.deepStrictEqual(problems(state()), [])
    assert.deepStrictEqual(problems(state({ backends: [], devices: [] })), [])
  })

  it("tells the worst first, with the backend to look at", () => {
    const found = problems(state({
      backends: [backend("a", { member: "isolated" }), backend("b", { health: "unhealthy", reason: "refused" })],
      breakers: [
        { backend: "a", model: null, state: "closed", retry_seconds: 0 },
        { backend: "a", model: "m", state: "half-open", retry_seconds: 0 },
      ],
      devices: [device("GPU-a", { failure: "no answer" })],
      prewarm: [{ plan: "p", model: "m", backend: "a", state: "failed", reason: "no room", since: null }],
      plans: [{ plan: "p", models: [], since: null, every_seconds: 1, failure: "no table", schedule: null }],
    }))
    assert.deepStrictEqual(found.map(({ backend: of, level, text }) => [level, of, text]), [
      ["bad", undefined, "No backend is healthy: every request is refused"],
      ["bad", "b", "b is unhealthy: refused"],
      ["warn", "a", "a is isolated by an operator: nothing runs on it any more"],
      ["warn", "a", "The breaker of m on a is half-open"],
      ["warn", undefined, "The memory of GPU-a cannot be read: no answer"],
      ["warn", undefined, "m could not be prewarmed: no room"],
      ["warn", undefined, "The prewarm plan p fails: no table"],
    ])
  })
})

describe("server-sent events", () => {
  it("are read whole however the text is cut; comments and `retry` give nothing", () => {
    const text =
      `retry: 2000\nevent: snapshot\ndata: {"a":1}\n\n: alive\n\nevent: change\ndata: one\ndata: two\n\ndata:x\n\n`
    const wanted = [
      { event: "snapshot", data: `{"a":1}` },
      { event: "change", data: "one\ntwo" },
      { event: "message", data: "x" },
    ]
    for (const size of [1, 2, 7, text.length]) {
      const read = parser()
      const seen: Array<unknown> = []
      for (let at = 0; at < text.length; at += size) seen.push(...read(text.slice(at, at + size)))
      assert.deepStrictEqual(seen, wanted)
    }
  })
})
