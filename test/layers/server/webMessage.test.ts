import { assert, describe, it } from "@effect/vitest"
import { hostOf, pairs, rawOf, targetOf, withHeaders } from "../../../src/layers/server/webMessage.ts"

describe("web messages", () => {
  it.each([
    ["http://a/api/chat?x=1", "/api/chat?x=1", "a"],
    ["https://a.example:8443/", "/", "a.example:8443"],
    ["http://[::1]:11435", "/", "[::1]:11435"],
  ])("the target and host of %s", (url, target, host) => {
    assert.deepStrictEqual([targetOf(url), hostOf(url)], [target, host])
  })

  it("headers become a list of names and values, and pairs", () => {
    const raw = rawOf(new Headers({ "X-B": "2", "X-A": "1" }))
    assert.deepStrictEqual(raw, ["x-a", "1", "x-b", "2"])
    assert.deepStrictEqual(pairs(raw), [["x-a", "1"], ["x-b", "2"]])
  })

  it("a response keeps its status, body and headers when more are added", async () => {
    const response = withHeaders(new Response("hi", { status: 201, headers: { "X-A": "1" } }), ["X-B", "2"])
    assert.deepStrictEqual([response.status, await response.text()], [201, "hi"])
    assert.deepStrictEqual([response.headers.get("x-a"), response.headers.get("x-b")], ["1", "2"])
  })
})
