/** What backends behind authentication ask for: where it is written, who sends it, and that nothing shows it. */
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, FileSystem, Inspectable, Layer, Logger, PlatformError, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { inspect } from "node:util"
import * as DnsFleet from "../../../src/layers/fleet/DnsFleet.ts"
import * as FileFleet from "../../../src/layers/fleet/FileFleet.ts"
import { type Backend, backend, type BackendInput, Fleet } from "../../../src/services/Fleet.ts"
import { withAccess, withoutPasswords } from "../../../src/services/BackendAccess.ts"

const basic = (text: string) => `Basic ${Buffer.from(text, "utf8").toString("base64")}`
const headersOf = ({ access }: Backend) => access === undefined ? [] : Redacted.value(access).headers()
const pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

describe("what a backend asks for", () => {
  const inputs: ReadonlyArray<readonly [name: string, BackendInput, ReadonlyArray<string>]> = [
    ["a user and a password", "http://user:geheim@h:1", ["authorization", basic("user:geheim")]],
    ["a user alone", "http://geheim@h:1", ["authorization", basic("geheim:")]],
    ["a password alone", "http://:geheim@h:1", ["authorization", basic(":geheim")]],
    ["escaped characters", "http://u%40x:p%3Aw%2F%25@h:1", ["authorization", basic("u@x:p:w/%")]],
    ["characters beyond Latin-1", "http://u:gehеim€@h:1", ["authorization", basic("u:gehеim€")]],
    ["an escape that is none", "http://u:100%@h:1", ["authorization", basic("u:100%")]],
    ["a token", { url: "http://h:1", token: "geheim" }, ["authorization", "Bearer geheim"]],
    ["a redacted token", { url: "http://h:1", token: Redacted.make("geheim") }, ["authorization", "Bearer geheim"]],
    ["headers", { url: "http://h:1", headers: { "X-Api-Key": "geheim", "X-Org": Redacted.make("a b") } }, [
      "x-api-key",
      "geheim",
      "x-org",
      "a b",
    ]],
    ["nothing", "http://h:1", []],
  ]
  for (const [name, input, wanted] of inputs) {
    it(`is read from ${name}, and printed nowhere`, () => {
      const made = backend(input)
      assert.deepStrictEqual(headersOf(made), wanted)
      assert.strictEqual(made.url, "http://h:1")
      assert.strictEqual(made.id, "h:1")
      const printed = [
        JSON.stringify(made),
        String(made.access),
        inspect(made, { depth: 9 }),
        Inspectable.toStringUnknown(made),
      ]
      for (const text of printed) for (const secret of ["geheim", ...wanted.slice(1)]) assert.notInclude(text, secret)
    })
  }

  const wrong: ReadonlyArray<readonly [name: string, BackendInput, RegExp]> = [
    ["a token and a user", { url: "http://u:geheim@h", token: "geheim" }, /"h": .*only one/],
    [
      "a token and a header for it",
      { url: "http://h", token: "geheim", headers: { Authorization: "geheim" } },
      /twice/,
    ],
    ["a line break in a token", { url: "http://h", token: "geheim\nX: y" }, /authorization .*forbidden/],
    ["an empty header", { url: "http://h", headers: { "x-a": "" } }, /x-a is empty/],
    ["a name with a blank", { url: "http://h", headers: { "x a": "geheim" } }, /"x a" is no name/],
    ["a header that frames the call", { url: "http://h", headers: { "Content-Length": "5" } }, /cannot be set/],
    ["a certificate that is none", { url: "https://h", ca: "geheim" }, /PEM/],
    ["a URL that is none", "http://u:geheim@", /http\(s\) URL/],
    ["another scheme", "ftp://u:geh@eim@h", /http\(s\) URL/],
  ]
  for (const [name, input, why] of wrong) {
    it(`is an error without the secret: ${name}`, () => {
      let message = ""
      try {
        backend(input)
      } catch (error) {
        message = String(error)
      }
      assert.match(message, why)
      assert.notMatch(message, /geheim|geh@/)
    })
  }

  it("replaces what a client sent under the same name, and nothing else", () => {
    const { access } = backend({ url: "http://h", token: "ours", headers: { "X-Api-Key": "key" } })
    const sent = ["Authorization", "Bearer client", "X-A", "1", "x-api-key", "client", "AUTHORIZATION", "again"]
    assert.deepStrictEqual(withAccess(sent, access), ["X-A", "1", "authorization", "Bearer ours", "x-api-key", "key"])
    assert.strictEqual(withAccess(sent, undefined), sent)
  })

  it("is hidden in settings that cannot be read, wherever the password stands", () => {
    assert.strictEqual(withoutPasswords("http://u:p@h,http://v:q@i:99999"), "…@i:99999")
    assert.strictEqual(withoutPasswords("u:p/w@@h"), "…@h")
    assert.strictEqual(withoutPasswords("http://h:1"), "http://h:1")
  })
})

const missing = PlatformError.systemError({ _tag: "NotFound", module: "FileSystem", method: "readFileString" })

/** A fleet file and other files, which a test writes. */
const filed = (contents: Record<string, string | undefined>, env: Record<string, string> = {}) => {
  const logs: Array<string> = []
  const files = FileSystem.layerNoop({
    readFileString: (path) =>
      Effect.suspend(() => {
        const text = contents[path]
        return text === undefined ? Effect.fail(missing) : Effect.succeed(text)
      }),
  })
  const logger = Logger.layer([Logger.make(({ message }) => void logs.push(String(message)))])
  const provider = ConfigProvider.layer(ConfigProvider.fromEnv({ env }))
  return { logs, layer: Layer.provide(FileFleet.layer("/fleet.json"), [files, provider, logger]) }
}
const fleetOf = (...backends: ReadonlyArray<unknown>) => JSON.stringify({ backends })
const members = Effect.map(Fleet, (fleet) => fleet.members().map(({ backend }) => backend))

describe("a fleet file", () => {
  it.effect("has secrets as values, in environment variables and in files", () => {
    const { layer } = filed({
      "/fleet.json": fleetOf(
        "http://user:geheim@a:1",
        { url: "http://b:1", token: "as it is" },
        { url: "http://c:1", token: { env: "C_TOKEN" }, headers: { "X-Key": { env: "C_KEY" }, "X-Org": "org" } },
        { url: "https://d:1", token: { file: "/run/token" }, caFile: "/etc/ca.pem" },
      ),
      "/run/token": "from-a-file\n",
      "/etc/ca.pem": pem,
    }, { C_TOKEN: "from-env", C_KEY: " key " })
    return Effect.gen(function* () {
      const found = yield* members
      assert.deepStrictEqual(found.map(headersOf), [
        ["authorization", basic("user:geheim")],
        ["authorization", "Bearer as it is"],
        ["authorization", "Bearer from-env", "x-key", "key", "x-org", "org"],
        ["authorization", "Bearer from-a-file"],
      ])
      assert.strictEqual(Redacted.value(found[3]!.access!).ca(), pem.trim())
    }).pipe(Effect.provide(layer))
  })

  it.effect("a token that rotates is sent at once, also by those who hold the backend from before", () => {
    const contents: Record<string, string | undefined> = {
      "/fleet.json": fleetOf({ url: "http://a:1", token: { file: "/run/token" } }, "http://b:1"),
      "/run/token": "first",
    }
    const { layer, logs } = filed(contents)
    return Effect.gen(function* () {
      const [held] = yield* members
      const now = Effect.map(members, ([latest]) => [headersOf(held!)[1], headersOf(latest!)[1]])
      contents["/run/token"] = "second"
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* now, ["Bearer second", "Bearer second"])
      // While it is written, and while it is gone, the last token stays.
      for (const text of ["", undefined]) {
        contents["/run/token"] = text
        yield* TestClock.adjust("3 seconds")
        assert.deepStrictEqual(yield* now, ["Bearer second", "Bearer second"])
      }
      assert.match(logs.join("\n"), /token of "http:\/\/a:1".*\/run\/token/)
      // Also while the fleet file is bad.
      contents["/run/token"] = "third"
      contents["/fleet.json"] = `{"backends":[{"url":"http://a:1","token":"geheim"`
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* now, ["Bearer third", "Bearer third"])
      // A token in the fleet file itself.
      contents["/fleet.json"] = fleetOf({ url: "http://a:1", token: "fourth" }, "http://b:1")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* now, ["Bearer fourth", "Bearer fourth"])
      assert.notMatch(logs.join("\n"), /first|second|third|fourth|geheim/)
    }).pipe(Effect.provide(layer))
  })

  const bad: ReadonlyArray<readonly [name: string, entry: unknown, RegExp]> = [
    ["no such variable", { url: "http://u@a:1", token: { env: "NOBODY" } }, /"…@a:1": .*NOBODY is not set/],
    ["no such file", { url: "http://a:1", id: "big", token: { file: "/no/token" } }, /token of "big": \/no\/token/],
    ["an empty file", { url: "http://a:1", token: { file: "/empty" } }, /\/empty is empty/],
    ["no authority in its file", { url: "https://a:1", caFile: "/text" }, /PEM/],
    ["a source that nobody knows", { url: "http://a:1", token: { vault: "geheim" } }, /vault/],
    ["a number", { url: "http://a:1", headers: { "X-Key": 4711 } }, /X-Key/],
    ["a misspelt field", { url: "http://u:geheim@a:1", tokn: "geheim" }, /tokn/],
    ["a token besides a user", { url: "http://u:geheim@a:1", token: "geheim" }, /only one/],
  ]
  for (const [name, entry, why] of bad) {
    it.effect(`is refused without its secrets: ${name}`, () => {
      const { layer } = filed({ "/fleet.json": fleetOf(entry), "/empty": "\n", "/text": "geheim" })
      return Effect.gen(function* () {
        const { message } = yield* Effect.flip(Layer.build(layer))
        assert.match(message, why)
        assert.match(message, /\/fleet\.json/)
        assert.notMatch(message, /geheim|4711/)
      })
    })
  }
})

it.effect("DnsFleet sends what is common to all addresses", () =>
  Effect.gen(function* () {
    const [one, two] = yield* members
    assert.deepStrictEqual([headersOf(one!), headersOf(two!)], Array(2).fill(["authorization", "Bearer t"]))
  }).pipe(Effect.provide(
    DnsFleet.layer({ name: "x", backend: { token: "t" }, resolve: () => Promise.resolve(["10.0.0.1", "10.0.0.2"]) }),
  )))
