import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { fromParts } from "../../../../src/layers/memory/footprint/estimate.ts"
import { overridden, parse } from "../../../../src/layers/memory/footprint/manifest.ts"
import { shape } from "../../../../src/services/Footprint.ts"

const run = shape({ context: 8192 })
const parts = { weights: { gpu: 4000, cpu: 300 }, kv: 1000, recurrent: 0, compute: 500, projector: 0, overhead: 500 }
const estimated = fromParts(parts, run, 0.25, "estimated")

const of = (model: string, pins: unknown) => parse(JSON.stringify({ models: { [model]: pins } }))

describe("the manifest", () => {
  it.effect("sets a total without estimate or margin, under any spelling of the model", () =>
    Effect.gen(function* () {
      const overrides = yield* of("Library/Llama3.1", [{ total: "7 GiB" }])
      for (const known of [estimated, undefined]) {
        assert.deepInclude(overridden(overrides, "llama3.1:latest", "a", run, known), {
          total: 7 * 1024 ** 3,
          margin: 0,
          reserve: 7 * 1024 ** 3,
          source: "manifest",
        })
      }
      assert.isUndefined(overridden(overrides, "other:latest", "a", run, estimated))
    }))

  it.effect("sets parts, and the margin covers the other parts", () =>
    Effect.gen(function* () {
      const overrides = yield* of("m", [{ kv: 2000, weights: "3 kB" }])
      const made = overridden(overrides, "m:latest", "a", run, estimated)
      assert.deepStrictEqual(made, {
        parts: { ...parts, weights: { gpu: 3000, cpu: 300 }, kv: 2000 },
        total: 6000,
        margin: 250,
        reserve: 6250,
        source: "manifest",
      })
      assert.isUndefined(
        overridden(overrides, "m:latest", "a", run, undefined),
        "parts of what is not known are not a footprint",
      )
      const cpu = shape({ context: 8192, devices: 0 })
      assert.deepStrictEqual(overridden(overrides, "m:latest", "a", cpu, estimated)?.parts?.weights, {
        gpu: 0,
        cpu: 3000,
      })
    }))

  it.effect("applies only to the runs it names, and a later override replaces an earlier one", () =>
    Effect.gen(function* () {
      const overrides = yield* of("m", [
        { total: 1 },
        { context: 8192, total: 2 },
        { context: 8192, kvType: "q8_0", total: 3 },
        { backend: "b", parallelism: 4, total: 4 },
      ])
      const total = (backend: string, changed: object) =>
        overridden(overrides, "m:latest", backend, { ...run, ...changed }, estimated)?.total
      assert.strictEqual(total("a", { context: 4096 }), 1)
      assert.strictEqual(total("a", {}), 2)
      assert.strictEqual(total("a", { kvType: "q8_0" }), 3)
      assert.strictEqual(total("b", { kvType: "q8_0", parallelism: 4 }), 4)
      assert.strictEqual(total("a", { parallelism: 4 }), 2)
    }))

  it.effect("refuses an invalid manifest and names the place", () =>
    Effect.gen(function* () {
      const wrong = [
        "{",
        "[]",
        "{}",
        `{"models":{"m":{"total":1}}}`,
        `{"models":{"m":[{"totl":1}]}}`,
        `{"models":{"m":[{"total":-1}]}}`,
        `{"models":{"m":[{"total":"much"}]}}`,
        `{"models":{"m":[{"kvType":"q3"}]}}`,
        `{"models":{},"version":1}`,
      ]
      for (const text of wrong) {
        const error = yield* Effect.flip(parse(text))
        assert.strictEqual(error.reason._tag, "ManifestInvalid", text)
        assert.isNotEmpty(error.message)
      }
      const misspelt = yield* Effect.flip(parse(wrong[4]!))
      assert.include(misspelt.message, "totl")
    }))
})
