import { assert, describe, it } from "@effect/vitest"
import { find } from "../../src/wire/endpoints.ts"
import { scan } from "../../src/wire/envelope.ts"
import * as Hosts from "../../src/wire/hosts.ts"
import { endpoint } from "./support.ts"

describe("hosts", () => {
  it("on loopback only local names may be asked for", () => {
    const may = Hosts.make("127.0.0.1", ["llm.example.com"])
    for (
      const host of ["localhost:11435", "127.0.0.1", "[::1]:1", "192.168.1.4:11435", "box.local", "LLM.example.com:80"]
    ) {
      assert.isTrue(may(host), host)
    }
    for (const host of ["evil.example:11435", "localhost.evil.example", "8.8.8.8", "127.0.0.1.evil.example"]) {
      assert.isFalse(may(host), host)
    }
    assert.isTrue(may(undefined))
  })

  it("elsewhere, or where all are allowed, any name will do", () => {
    assert.isTrue(Hosts.make("0.0.0.0")("anything.example"))
    assert.isTrue(Hosts.make("127.0.0.1", ["*"])("anything.example"))
  })
})

describe("endpoints", () => {
  it("are found in the absolute form of a target, too", () => {
    assert.strictEqual(find("http://x:1/api/chat?a=b")?.path, "/api/chat")
    assert.isUndefined(find("http://x"))
  })
})

describe("multipart", () => {
  it("refuses a boundary that would make it slow", () => {
    const dashes = "-".repeat(30_000)
    const refused = scan(
      new TextEncoder().encode(dashes.repeat(10)),
      endpoint("/v1/audio/transcriptions"),
      `multipart/form-data; boundary=${dashes}b`,
    )
    assert(("_tag" in refused) && refused.status === 400)
  })
})
