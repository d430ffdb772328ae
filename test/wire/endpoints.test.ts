import { assert, describe, it } from "@effect/vitest"
import { canStream, endpoints, find } from "../../src/wire/endpoints.ts"

describe("endpoints", () => {
  it("are found by their path, with or without a query", () => {
    for (const endpoint of endpoints) {
      assert.strictEqual(find(endpoint.path), endpoint)
      assert.strictEqual(find(`${endpoint.path}?a=b`), endpoint)
    }
  })

  it("are found in the absolute form of a target", () => {
    assert.strictEqual(find("http://x:1/api/chat?a=b")?.path, "/api/chat")
    assert.isUndefined(find("http://x"))
  })

  it("are not found by any other path", () => {
    for (const target of ["/api/tags", "/api/chat/", "/API/chat", "", "/"]) assert.isUndefined(find(target), target)
  })

  it("of embeddings and transcriptions do not stream", () => {
    const whole = endpoints.filter((endpoint) => !canStream(endpoint)).map(({ kind }) => kind)
    assert.deepStrictEqual(whole, ["embed", "embed", "embed", "transcribe"])
  })
})
