import { assert, describe, it } from "@effect/vitest"
import * as Hosts from "../../src/wire/hosts.ts"

describe("hosts", () => {
  it("a server on loopback accepts local names and the configured ones, and no others", () => {
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

  it("a server that is not on loopback accepts any name, and so does one with `*`", () => {
    assert.isTrue(Hosts.make("0.0.0.0")("anything.example"))
    assert.isTrue(Hosts.make("127.0.0.1", ["*"])("anything.example"))
  })
})
