import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import * as Cors from "../../../src/layers/server/cors.ts"
import { header } from "../../../src/services/RoutedRequest.ts"

describe("cors", () => {
  const decide = (origin: string, method = "POST", origins: ReadonlyArray<string> = []) =>
    Cors.make(origins).decide(origin, "127.0.0.1:11435", method)

  it("allows the origins of Ollama, and the configured ones", () => {
    const builtIn = ["localhost", "127.0.0.1", "0.0.0.0"].flatMap((host) => [
      `http://${host}`,
      `https://${host}`,
      `http://${host}:3000`,
      `https://${host}:1`,
    ])
    const apps = ["app://obsidian", "file://", "tauri://localhost", "vscode-webview://1x", "vscode-file://vscode-app"]
    for (const origin of [...builtIn, ...apps]) {
      assert.isUndefined(decide(origin).status, origin)
      assert.strictEqual(header(decide(origin).headers, "access-control-allow-origin"), origin)
      assert.strictEqual(header(decide(origin).headers, "vary"), "Origin")
    }
    // Ollama permits browser extensions in `OLLAMA_ORIGINS`, and lets none in by itself.
    const extensions = ["chrome", "moz", "safari-web", "safari", "ms-browser"].map((name) => `${name}-extension://abc`)
    const others = [
      "http://evil.example",
      "http://localhost.evil.example",
      "null",
      "http://[::1]:1",
      "https://box.local",
    ]
    for (const origin of [...others, ...extensions, "http://127.0.0.2", "HTTP://localhost", "ionic://localhost"]) {
      assert.deepStrictEqual(decide(origin), { status: 403, headers: [] })
    }
    assert.isUndefined(decide("https://ui.example.com", "POST", ["https://*.example.com"]).status)
    for (const extension of extensions) {
      const [scheme] = extension.split("://")
      assert.isUndefined(decide(extension, "POST", [`${scheme}://*`]).status, extension)
      assert.isUndefined(decide(extension, "POST", [extension]).status, extension)
      assert.strictEqual(decide(`${extension}d`, "POST", [extension]).status, 403, extension)
    }
    assert.strictEqual(header(decide("http://evil.example", "POST", ["*"]).headers, "access-control-allow-origin"), "*")
    for (const origin of ["http://127.0.0.1:11435", ""]) {
      assert.deepStrictEqual(decide(origin), { status: undefined, headers: [] })
    }
  })

  it("matches both ends of a pattern, and all of the server's own origin", () => {
    const pattern = ["https://ui.*.example.com"]
    assert.isUndefined(decide("https://ui.a.example.com", "POST", pattern).status)
    // The two ends must not overlap, and nothing may follow the pattern.
    for (const origin of ["https://ui.example.com", "https://ui.a.example.com.evil.example", "https://ui.a"]) {
      assert.strictEqual(decide(origin, "POST", pattern).status, 403, origin)
    }
    assert.strictEqual(decide("http://evil.example/127.0.0.1:11435").status, 403)
    assert.strictEqual(decide("http://1127.0.0.1:11435").status, 403)
  })

  it("answers a preflight", () => {
    const answer = decide("http://localhost:3000", "OPTIONS")
    assert.strictEqual(answer.status, 204)
    assert.include(header(answer.headers, "access-control-allow-headers"), "Authorization")
  })

  it("lets pages send the given headers besides its own", () => {
    const { headers } = Cors.make([], ["X-Chat", ""]).decide("http://localhost:3000", undefined, "OPTIONS")
    const allowed = header(headers, "access-control-allow-headers")!.split(",")
    assert.includeMembers(allowed, ["X-Session-Id", "X-Chat"])
    assert.notInclude(allowed, "")
  })

  it("lets pages send and read every header of docs/headers.md", () => {
    const page = readFileSync(new URL("../../../docs/headers.md", import.meta.url), "utf8")
    const [, sent, read] = page.split("\n## ")
    const namesIn = (table: string): ReadonlyArray<string> =>
      Array.from(
        table.matchAll(/^\| (`[^|]*)\|/gm),
        ([, cell]) => Array.from(cell!.matchAll(/`([^`]+)`/g), ([, name]) => name!),
      )
        .flat().filter((name) => !name.startsWith("LLAMERO_"))
    const names = (list: string | undefined): ReadonlyArray<string> => list!.toLowerCase().split(",")
    for (const [table, method, list] of [[sent, "OPTIONS", "allow"], [read, "POST", "expose"]] as const) {
      const wanted = namesIn(table!)
      assert.isAbove(wanted.length, 6)
      const given = header(decide("http://localhost:3000", method).headers, `access-control-${list}-headers`)
      assert.includeMembers(Array.from(names(given)), wanted.map((name) => name.toLowerCase()))
    }
  })
})
