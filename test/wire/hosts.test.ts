import { assert, describe, it } from "@effect/vitest"
import * as Hosts from "../../src/wire/hosts.ts"

describe("hosts", () => {
  /** What `allowedHostsMiddleware` of Ollama's `server/routes.go` lets in, read from its source. */
  const local = [
    "localhost",
    "localhost:11435",
    "LocalHost:",
    ":80",
    "",
    "127.0.0.1",
    "127.8.9.10:1",
    "[::1]:1",
    "[0:0:0:0:0:0:0:1]:1",
    "[::ffff:127.0.0.1]:1",
    "0.0.0.0:11435",
    "[::]:1",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255:80",
    "192.168.1.4:11435",
    "[fd00::1]:1",
    "[fc01:2::3]:1",
    "[::ffff:10.0.0.1]:1",
    "box.local",
    "a.b.internal:80",
    "x.localhost",
    "host.docker.internal:11435",
  ]
  const foreign = [
    "evil.example:11435",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "127.0.0.1.nip.io",
    "notlocalhost",
    "local",
    "internal",
    "localhost.",
    "8.8.8.8",
    "172.15.0.1",
    "172.32.0.1",
    "11.0.0.1",
    "169.254.1.1",
    "100.64.0.1",
    "10.1",
    "127.1",
    "010.0.0.1",
    "256.0.0.1",
    "[2001:db8::1]:1",
    "[fe80::1]:1",
    "[::ffff:8.8.8.8]:1",
    "[::1].evil.example",
    "::1]/x[",
    "localhost:x",
  ]

  it("a server on loopback accepts the local names of Ollama and no others", () => {
    const may = Hosts.make("127.0.0.1")
    for (const host of local) assert.isTrue(may(host), host)
    for (const host of foreign) assert.isFalse(may(host), host)
    assert.isTrue(may(undefined))
  })

  it("accepts names that are set, and the machine's own, in any case and with any port", () => {
    const may = Hosts.make("::1", { names: ["LLM.example.com", "[2001:db8::7]"], isOwn: (name) => name === "box" })
    for (const host of ["llm.example.com", "LLM.Example.com:80", "box:11435", "BOX", "[2001:db8::7]:1"]) {
      assert.isTrue(may(host), host)
    }
    for (const host of ["example.com", "box.evil.example", "xbox"]) assert.isFalse(may(host), host)
  })

  it("asks for the machine's own names only where nothing else lets a name in", () => {
    const asked: Array<string> = []
    const may = Hosts.make("127.0.0.1", { isOwn: (name) => asked.push(name) > 0 })
    for (const host of ["localhost", "10.0.0.1", "BOX:1", "BOX:1"]) assert.isTrue(may(host))
    assert.deepStrictEqual(asked, ["box"])
  })

  it("a server that is not on loopback accepts any name, and so does one with `*`", () => {
    for (const address of ["0.0.0.0", "::", "192.168.1.4"]) assert.isTrue(Hosts.make(address)("anything.example"))
    assert.isTrue(Hosts.make("127.0.0.1", { names: ["*"] })("anything.example"))
    for (const address of ["127.0.0.1", "127.0.1.1", "::1", "::ffff:127.0.0.1"]) {
      assert.isFalse(Hosts.make(address)("anything.example"), address)
    }
  })
})
