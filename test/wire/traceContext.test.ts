import { assert, describe, it } from "@effect/vitest"
import * as TraceContext from "../../src/wire/traceContext.ts"

const trace = "0af7651916cd43dd8448eb211c80319c"
const span = "b7ad6b7169203331"
const valid = `00-${trace}-${span}-01`
const read = (...values: ReadonlyArray<string>) => TraceContext.read(values.flatMap((value) => ["traceparent", value]))
const stateOf = (...lists: ReadonlyArray<string>) =>
  TraceContext.state(["traceparent", valid, ...lists.flatMap((list) => ["TraceState", list])])

describe("traceparent", () => {
  it("is read, with its flags", () => {
    const context = { traceId: trace, spanId: span }
    assert.deepStrictEqual(read(valid), { ...context, sampled: true, random: false })
    assert.deepStrictEqual(read(`00-${trace}-${span}-00`), { ...context, sampled: false, random: false })
    assert.deepStrictEqual(read(`00-${trace}-${span}-03`), { ...context, sampled: true, random: true })
    assert.deepStrictEqual(read(`00-${trace}-${span}-fe`), { ...context, sampled: false, random: true })
    assert.strictEqual(TraceContext.read(["Accept", "*/*", "TraceParent", ` ${valid} `])?.traceId, trace)
  })

  it("of a later version may have more behind the flags", () => {
    for (const text of [`01-${trace}-${span}-01`, `cc-${trace}-${span}-01-what-is-this`, `cc-${trace}-${span}-01-`]) {
      assert.strictEqual(read(text)?.spanId, span, text)
    }
    assert.isUndefined(read(`cc-${trace}-${span}-01.what`))
  })

  it("that breaks a rule is ignored", () => {
    const wrong = [
      "",
      "00",
      trace,
      `ff-${trace}-${span}-01`,
      `00-${"0".repeat(32)}-${span}-01`,
      `00-${trace}-${"0".repeat(16)}-01`,
      `00-${trace.toUpperCase()}-${span}-01`,
      `00-${trace}-${span}-0`,
      `00-${trace}-${span}-011`,
      `00-${trace}-${span}-0x`,
      `00-${trace}-${span}`,
      `00-${trace}-${span}-01-`,
      `00-${trace}-${span}-01-more`,
      `0-${trace}-${span}-01`,
      `.0-${trace}-${span}-01`,
      `00-${trace.slice(1)}-${span}-01`,
      `00-${trace}a-${span}-01`,
      `00_${trace}_${span}_01`,
      `${valid},${valid}`,
      `${valid}\n`.replace("\n", "\u00a0x"),
    ]
    for (const text of wrong) assert.isUndefined(read(text), JSON.stringify(text))
  })

  it("that is there twice is ignored, even where both are the same", () => {
    assert.isUndefined(read(valid, valid))
    assert.isUndefined(read(valid, "nonsense"))
  })
})

describe("tracestate", () => {
  it("may come in several headers, with empty members", () => {
    assert.strictEqual(stateOf("a=1,b=2"), "a=1,b=2")
    assert.strictEqual(stateOf("a=1", "b=2,c=3"), "a=1,b=2,c=3")
    assert.strictEqual(stateOf(" a=1 ,, \t b=2,"), "a=1,b=2")
    assert.strictEqual(
      stateOf("t61rcWkgMzE=x".toLowerCase(), "fw529a3039@dt=FfAAAA;x:1"),
      "t61rcwkgmze=x,fw529a3039@dt=FfAAAA;x:1",
    )
    assert.isUndefined(stateOf())
    assert.isUndefined(stateOf("", " , "))
  })

  it("that breaks a rule is ignored alone", () => {
    const wrong = [
      "A=1",
      "a",
      "a=",
      "=1",
      "a=1,a=2",
      "a b=1",
      "a=b=c",
      `${"k".repeat(257)}=1`,
      "a=\u00e4",
      `a=${"v".repeat(257)}`,
    ]
    for (const list of wrong) assert.isUndefined(stateOf(list), list)
    const many = (count: number) => Array.from({ length: count }, (_, i) => `k${i}=1`).join()
    assert.strictEqual(stateOf(many(32)), many(32))
    assert.isUndefined(stateOf(many(33)))
    assert.strictEqual(TraceContext.read(["traceparent", valid, "tracestate", "A=1"])?.traceId, trace)
  })
})

describe("a context that is passed on", () => {
  it("takes the place of every one that was there", () => {
    const headers = ["Accept", "*/*", "TraceParent", "x", "traceparent", "y", "Tracestate", "a=1", "X-Request-Id", "r"]
    TraceContext.replace(headers, TraceContext.traceparent(trace, span, true), "b=2")
    assert.deepStrictEqual(headers, [
      ...["Accept", "*/*", "X-Request-Id", "r", "traceparent", `00-${trace}-${span}-03`, "tracestate", "b=2"],
    ])
    TraceContext.replace(headers, TraceContext.traceparent(trace, span, false), undefined)
    assert.deepStrictEqual(headers, ["Accept", "*/*", "X-Request-Id", "r", "traceparent", valid])
  })
})
