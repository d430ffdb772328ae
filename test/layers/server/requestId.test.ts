import { assert, describe, it } from "@effect/vitest"
import * as RequestId from "../../../src/layers/server/requestId.ts"

describe("the id of a request", () => {
  it("is the client's own when it is short and visible ASCII, and a new one otherwise", () => {
    const next = RequestId.make("p")
    assert.strictEqual(next("trace-1"), "trace-1")
    assert.strictEqual(next(undefined), "p-1")
    assert.strictEqual(next("with space"), "p-2")
    assert.strictEqual(next("x".repeat(129)), "p-3")
    assert.strictEqual(next("é"), "p-4")
    assert.strictEqual(next(""), "p-5")
  })
})
