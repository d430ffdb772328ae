import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as StaticFleet from "../../../src/layers/fleet/StaticFleet.ts"
import { type BackendInput, Fleet } from "../../../src/services/Fleet.ts"
import * as FleetContract from "../../../src/testing/contracts/Fleet.ts"
import { holds } from "../../support/checks.ts"

holds(
  "StaticFleet is a Fleet",
  FleetContract.contract(StaticFleet.layer([{ url: "http://a:1/", id: "a" }, { url: "http://b:1", id: "b" }])),
)

describe("StaticFleet", () => {
  const refused: ReadonlyArray<readonly [string, ReadonlyArray<BackendInput>, RegExp]> = [
    ["no backends", [], /at least one/],
    ["one id twice", [{ url: "http://a", id: "x" }, { url: "http://b", id: "x" }], /two backends are called "x"/],
    ["one URL twice", ["http://a:1", { url: "http://a:1/", id: "x" }], /same URL/],
    ["what is no URL", ["localhost:11434"], /must be an http/],
    ["no parallelism", [{ url: "http://a", parallelism: 0 }], /parallelism/],
  ]
  for (const [what, inputs, message] of refused) {
    it.effect(`refuses ${what}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Layer.build(StaticFleet.layer(inputs)))
        assert.strictEqual(error.reason._tag, "InvalidFleet")
        assert.match(error.message, message)
      }))
  }

  it.effect("names a backend by host and port, and keeps a path prefix", () =>
    Effect.gen(function* () {
      const [member] = (yield* Fleet).members()
      assert.strictEqual(member?.backend.id, "10.0.0.4:11434")
      assert.strictEqual(member?.backend.url, "http://10.0.0.4:11434/ollama")
    }).pipe(Effect.provide(StaticFleet.layer(["http://10.0.0.4:11434/ollama/"]))))
})
