/** A round of the benchmark counts only if what it says was seen was really seen. */
import { assert, describe, it } from "@effect/vitest"
import { observedScenarios, type Seen, unproven } from "../../bench/observed.ts"
import { parse } from "../../bench/options.ts"
import { targets } from "../../bench/targets.ts"

const before: Seen = { counted: 10, logged: 0, spans: 5, decisions: 0 }
const all: Seen = { counted: 3010, logged: 3000, spans: 95, decisions: 100 }
const nothing: Seen = { counted: 0, logged: 0, spans: 45, decisions: 0 }

describe("the group observed", () => {
  it("needs all of it of the one server", () => {
    assert.deepStrictEqual(unproven("observed", 3000, before, all), [])
    for (
      const [missing, change] of [
        ["metrics", { counted: 3009 }],
        ["log lines", { logged: 2999 }],
        ["traces", { spans: 35 }],
        ["decisions", { decisions: 0 }],
      ] as const
    ) assert.deepStrictEqual(unproven("observed", 3000, before, { ...all, ...change }), [missing])
  })

  it("needs no trace of a few requests, but of all together", () => {
    const few = { ...all, spans: before.spans }
    assert.deepStrictEqual(unproven("observed", 1999, before, few), [])
    assert.deepStrictEqual(unproven("observed", 1999, before, { ...few, spans: 0 }), ["traces"])
  })

  it("needs nothing of it of the other one, whatever the collector got from the first", () => {
    assert.deepStrictEqual(unproven("unobserved", 1000, { ...before, counted: 0 }, nothing), [])
    for (
      const [there, change] of [
        ["metrics", { counted: 1 }],
        ["log lines", { logged: 10 }],
        ["decisions", { decisions: 1 }],
      ] as const
    ) assert.deepStrictEqual(unproven("unobserved", 1000, before, { ...nothing, ...change }), [there])
  })

  it("has its two servers for itself", () => {
    const options = parse(["--only", "observed"], targets.map(({ name }) => name))
    const scenarios = observedScenarios(() => Promise.reject(new Error("no load")), options)
    assert.lengthOf(scenarios, 2)
    for (const { targets: of } of scenarios) {
      assert.deepStrictEqual(of(targets).map(({ name }) => name), ["observed", "unobserved"])
    }
  })
})
