import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as DnsFleet from "../../../src/layers/fleet/DnsFleet.ts"
import { Fleet } from "../../../src/services/Fleet.ts"

/** Look-ups are promises, and the test clock does not wait for promises. */
const look = Effect.andThen(
  TestClock.adjust("5 seconds"),
  Effect.promise(() => new Promise((done) => setImmediate(done))),
)
const urls = Effect.map(Fleet, (fleet) => fleet.members().map(({ backend }) => backend.url))

describe("DnsFleet", () => {
  it.effect("follows the addresses of a name, and keeps them when a look-up fails or finds none", () => {
    let answer = () => Promise.resolve<ReadonlyArray<string>>(["10.0.0.2", "10.0.0.1", "10.0.0.2"])
    const layer = DnsFleet.layer({ name: "ollama.local", resolve: () => answer(), backend: { parallelism: 4 } })
    return Effect.gen(function* () {
      const two = ["http://10.0.0.1:11434", "http://10.0.0.2:11434"]
      assert.deepStrictEqual(yield* urls, two)
      assert.strictEqual((yield* Fleet).members()[0]!.backend.parallelism, 4)
      answer = () => Promise.reject(new Error("SERVFAIL"))
      yield* look
      assert.deepStrictEqual(yield* urls, two)
      answer = () => Promise.resolve([])
      yield* look
      assert.deepStrictEqual(yield* urls, two)
      answer = () => Promise.resolve(["fd00::1", "10.0.0.2"])
      yield* look
      assert.deepStrictEqual(yield* urls, ["http://10.0.0.2:11434"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("looks at once when asked, and says whether anything has changed, or why it cannot know", () => {
    let answer = () => Promise.resolve<ReadonlyArray<string>>(["10.0.0.1"])
    const layer = DnsFleet.layer({ name: "ollama.local", resolve: () => answer() })
    return Effect.gen(function* () {
      const reload = (yield* Fleet).reload!
      assert.isFalse(yield* reload)
      answer = () => Promise.resolve(["10.0.0.2"])
      assert.isTrue(yield* reload)
      assert.deepStrictEqual(yield* urls, ["http://10.0.0.2:11434"])
      answer = () => Promise.reject(new Error("SERVFAIL"))
      assert.match((yield* Effect.flip(reload)).message, /SERVFAIL/)
      assert.deepStrictEqual(yield* urls, ["http://10.0.0.2:11434"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("does not start when the name does not resolve", () =>
    Effect.gen(function* () {
      const layer = DnsFleet.layer({ name: "nowhere", resolve: () => Promise.reject(new Error("ENOTFOUND")) })
      const error = yield* Effect.flip(Layer.build(layer))
      assert.match(error.message, /nowhere does not resolve: Error: ENOTFOUND/)
    }))

  const both = ["fd00::2", "10.0.0.1", "fd00::1", "10.0.0.2"]
  const v4 = ["http://10.0.0.1:11434", "http://10.0.0.2:11434"]
  const v6 = ["http://[fd00::1]:11434", "http://[fd00::2]:11434"]
  const choices: ReadonlyArray<
    readonly [DnsFleet.Family | undefined, addresses: ReadonlyArray<string>, wanted: ReadonlyArray<string>]
  > = [
    [undefined, both, v4],
    [undefined, ["fd00::2", "fd00::1"], v6],
    ["IPv6 first", both, v6],
    ["IPv6 first", ["10.0.0.1", "10.0.0.2"], v4],
    ["IPv4", both, v4],
    ["IPv6", both, v6],
    ["both", both, [...v4, ...v6]],
    // One address in several spellings, and one that has no URL.
    [undefined, ["::ffff:10.0.0.1", "10.0.0.1", "::FFFF:10.0.0.2"], v4],
    ["IPv6", ["fd00:0:0:0:0:0:0:1", "fd00::1", "FD00::2", "fe80::1%eth0"], v6],
  ]
  for (const [family, addresses, wanted] of choices) {
    it.effect(`one server is one backend: ${family ?? "the default"} of ${addresses.join(", ")}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* urls, wanted)
      }).pipe(Effect.provide(DnsFleet.layer({ name: "x", family, resolve: () => Promise.resolve(addresses) }))))
  }

  it.effect("stays with its family while the resolver loses it for a moment, and changes when it stays lost", () => {
    let answer = both
    return Effect.gen(function* () {
      yield* look
      const members = (yield* Fleet).members()
      answer = ["fd00::1", "fd00::2"]
      yield* look
      yield* look
      answer = both
      yield* look
      assert.strictEqual((yield* Fleet).members(), members)
      answer = ["fd00::1", "fd00::2"]
      yield* look
      yield* look
      assert.deepStrictEqual(yield* urls, v4)
      yield* look
      assert.deepStrictEqual(yield* urls, v6)
      // And it stays there.
      answer = both
      yield* look
      assert.deepStrictEqual(yield* urls, v6)
    }).pipe(Effect.provide(DnsFleet.layer({ name: "x", resolve: () => Promise.resolve(answer) })))
  })

  it.effect("does not start without an address of the only family that it may take", () =>
    Effect.gen(function* () {
      const layer = DnsFleet.layer({ name: "x.local", family: "IPv6", resolve: () => Promise.resolve(["10.0.0.1"]) })
      assert.match((yield* Effect.flip(Layer.build(layer))).message, /x\.local has no address \(IPv6\)/)
    }))
})
