/** Paths as a real server takes them, read from the sources of Go's `ServeMux`, gin and Ollama 0.33. */
import { assert, describe } from "@effect/vitest"
import { on, send } from "./support.ts"

const chat = { model: "tiny-eos", messages: [], stream: false }

describe("paths", () => {
  on("a path that is not clean, and a slash at the end, are redirected", {}, function* () {
    const cases: ReadonlyArray<readonly [method: string, path: string, status: number, location: string]> = [
      ["POST", "//api/chat", 307, "/api/chat"],
      ["POST", "/api//chat/", 307, "/api/chat/"],
      ["POST", "/api/chat/", 307, "/api/chat"],
      ["POST", "/./api/chat?a=//", 307, "/api/chat?a=//"],
      ["POST", "/x/../api/chat", 307, "/api/chat"],
      ["POST", "/a/b/../../../api/./chat", 307, "/api/chat"],
      ["GET", "//api/version", 307, "/api/version"],
      ["GET", "/api/version/?x", 301, "/api/version?x"],
      ["HEAD", "/api/tags/", 307, "/api/tags"],
      ["GET", "/v1/models/", 301, "/v1/models"],
      ["GET", "/v1/models/tiny-eos/", 301, "/v1/models/tiny-eos"],
      ["DELETE", "/api/delete/", 307, "/api/delete"],
    ]
    for (const [method, path, status, location] of cases) {
      // The redirect comes before the rules on `Origin`.
      const heard = yield* send(path, undefined, { method, headers: ["Origin", "http://evil.example"] })
      assert.deepStrictEqual([heard.status, heard.headers["location"]], [status, location], `${method} ${path}`)
      assert.strictEqual(heard.text === "", method !== "GET", `${method} ${path}`)
    }
  })

  on("a path is decoded once, and case counts", {}, function* () {
    const cases: ReadonlyArray<readonly [method: string, path: string, status: number]> = [
      ["GET", "/%61pi/version", 200],
      ["GET", "/api%2Fversion", 200],
      ["GET", "/v1/models/tiny%2Deos", 200],
      ["GET", "/v1/models/tiny%252Deos", 400],
      ["GET", "/v1/models/library%2Ftiny-eos", 404],
      ["GET", "/API/VERSION", 404],
      ["GET", "/api/chat/", 404],
      ["GET", "/%2Fapi/version", 404],
      ["GET", "/api/%2e/version", 404],
      ["POST", "/api/blobs/", 404],
      ["GET", "/api/chat", 405],
      ["GET", "/api/blobs/x", 405],
    ]
    for (const [method, path, status] of cases) {
      const heard = yield* send(path, undefined, { method })
      assert.strictEqual(heard.status, status, `${method} ${path}`)
      if (status === 404 && !path.startsWith("/v1")) assert.strictEqual(heard.text, "404 page not found")
      if (path === "/api/blobs/x") assert.strictEqual(heard.headers["allow"], "HEAD, POST")
    }
    assert.strictEqual((yield* send("/%61pi/chat", chat)).status, 200)
  })

  on("an old version lacks paths", { missingPaths: ["/v1/responses"] }, function* () {
    const heard = yield* send("/v1/responses", { model: "tiny-eos", input: "hi" })
    assert.deepStrictEqual([heard.status, heard.text], [404, "404 page not found"])
    assert.strictEqual(heard.headers["content-type"], "text/plain")
    assert.strictEqual((yield* send("/v1/responses/", {})).status, 404)
    assert.strictEqual((yield* send("/api/chat", chat)).status, 200)
  })
})
