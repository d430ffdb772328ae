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

  it("are found in every spelling that Ollama redirects to them", () => {
    const spellings = (
      path: string,
    ) => [`/${path}`, `${path}/`, `/${path}//?a=b`, path.replaceAll("/", "//"), `/.${path}`]
    for (const endpoint of endpoints) {
      for (const target of spellings(endpoint.path)) assert.strictEqual(find(target), endpoint, target)
    }
  })

  it("are another path with a slash at the end for every method but POST", () => {
    assert.isUndefined(find("/api/chat/", "GET"))
    assert.strictEqual(find("//api/chat", "GET")?.path, "/api/chat")
  })

  it("are not found by any other path", () => {
    for (const target of ["/api/tags", "/API/chat", "/api/Chat", "/api/chat/x", "/api", "", "/"]) {
      assert.isUndefined(find(target), target)
    }
  })

  it("of embeddings and transcriptions do not stream", () => {
    const whole = endpoints.filter((endpoint) => !canStream(endpoint)).map(({ kind }) => kind)
    assert.deepStrictEqual(whole, ["embed", "embed", "embed", "transcribe"])
  })
})
