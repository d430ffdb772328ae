import { assert, describe, it } from "@effect/vitest"
import { find } from "../../src/wire/endpoints.ts"
import { canonical } from "../../src/wire/target.ts"

describe("target", () => {
  /** What Go's `ServeMux` and gin make of a target: read from their source. */
  const cases: ReadonlyArray<readonly [string, string]> = [
    ["/", "/"],
    ["/api/chat", "/api/chat"],
    ["/api/chat?a=//b/./c", "/api/chat?a=//b/./c"],
    ["//api/chat", "/api/chat"],
    ["///api///chat", "/api/chat"],
    ["/api//chat/", "/api/chat/"],
    ["/api/chat//", "/api/chat/"],
    ["/./api/chat", "/api/chat"],
    ["/api/./chat", "/api/chat"],
    ["/x/../api/chat", "/api/chat"],
    ["/../../api/chat", "/api/chat"],
    ["/api/chat/.", "/api/chat"],
    ["//", "/"],
    ["", "/"],
    ["?a=b", "/?a=b"],
    ["/%61pi/chat", "/api/chat"],
    ["/api%2Fchat", "/api/chat"],
    ["/api/chat%2f?x", "/api/chat/?x"],
    ["/v1/models/library%2Fx", "/v1/models/library/x"],
    ["/v1/models/a%20b", "/v1/models/a%20b"],
    ["/v1/models/m%3A8b", "/v1/models/m:8b"],
    ["/v1/models/100%25", "/v1/models/100%25"],
    ["/v1/models/%3F%23", "/v1/models/%3F%23"],
    ["/v1/models/.hidden", "/v1/models/.hidden"],
    ["/v1/models/llama3.1", "/v1/models/llama3.1"],
    ["/API/chat", "/API/chat"],
    ["http://x:1/api/chat?a=b", "/api/chat?a=b"],
    ["HTTPS://x//api/chat", "/api/chat"],
    ["http://x", "/"],
  ]
  for (const [target, read] of cases) {
    it(`reads ${JSON.stringify(target)} as Ollama does`, () => assert.strictEqual(canonical(target), read))
  }

  it("is stable", () => {
    for (const [target] of cases) assert.strictEqual(canonical(canonical(target)), canonical(target))
  })

  it("keeps what Go does not clean, so that no route has it", () => {
    for (const target of ["/%2Fapi/chat", "/api/%2e/chat", "/api/%2E%2e/api/chat", "/api/%zz", "/api/%ff/chat"]) {
      assert.isUndefined(find(target), target)
      assert.notMatch(canonical(target), /^\/api\/chat/)
    }
  })
})
