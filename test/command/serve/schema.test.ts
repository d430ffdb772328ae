/** The JSON Schema of a file of settings: up to date, and of one mind with what the server reads. */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { readFileSync } from "node:fs"
import { file, schema } from "../../../scripts/docs/schema.ts"
import * as Settings from "../../../src/layers/Settings.ts"

const variables: Readonly<Record<string, Settings.Variable<unknown>>> = Settings.variables

/** The default of a setting as JSON; `undefined` where it is a list or an object, or not set. */
const asJson = ({ fallback, shown }: Settings.Variable<unknown>): unknown =>
  typeof fallback === "boolean" ? fallback : typeof fallback === "object" || shown === "" ? undefined : scalar(shown)

const scalar = (text: string): unknown => /^\d+(\.\d+)?$/.test(text) ? Number(text) : text

/** Texts as the environment has them, and the same as JSON. */
const same: ReadonlyArray<readonly [name: string, text: string, json: unknown]> = [
  ["LLAMERO_BACKENDS", "10.0.0.4,http://b", ["10.0.0.4", "http://b"]],
  ["LLAMERO_AGENTS", "http://a:1,http://b:1", ["http://a:1", "http://b:1"]],
  ["LLAMERO_ORIGINS", "https://chat.example,*", ["https://chat.example", "*"]],
  ["LLAMERO_PREWARM", "a:1,b", ["a:1", "b"]],
  ["LLAMERO_PULLS", "qwen3*", ["qwen3*"]],
  ["LLAMERO_SCORERS", "resident=3,zone=0.5", { resident: 3, zone: 0.5 }],
  ["LLAMERO_TENANT_WEIGHTS", "a=3,b=0.5", { a: 3, b: 0.5 }],
  ["LLAMERO_ALIASES", "a=b|c,d=e", { a: ["b", "c"], d: "e" }],
  ["LLAMERO_RATE_LIMIT", "requests=60,tokens=5", { requests: 60, tokens: 5 }],
  ["LLAMERO_PLUGINS", "./a.ts,./b.ts", ["./a.ts", { from: "./b.ts" }]],
  ["LLAMERO_PLUGINS", `[{"from":"./a.ts","options":{"b":1},"weight":2}]`, [{
    from: "./a.ts",
    options: { b: 1 },
    weight: 2,
  }]],
  ["LLAMERO_TOTAL_TIMEOUT", "off", "off"],
  ["LLAMERO_VRAM", "on", "on"],
  ["LLAMERO_VRAM", "off", false],
  ["LLAMERO_LOG_LEVEL", "warning", "warning"],
  ["LLAMERO_BODY_LIMIT", "1024", 1024],
  ["OTEL_RESOURCE_ATTRIBUTES", "a=b", { a: "b" }],
  ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=b,c=d", { a: "b", c: "d" }],
  ["OTEL_TRACES_SAMPLER_ARG", "0.25", 0.25],
]

const named = (name: string) => Object.values(variables).find((variable) => variable.name === name)!

describe("the JSON Schema of settings", () => {
  it("is up to date in llamero.schema.json: npm run tables", () => {
    assert.strictEqual(readFileSync(file, "utf8"), schema())
  })

  it("has a key for each setting, and no other", () => {
    const { additionalProperties, properties } = JSON.parse(schema())
    assert.isFalse(additionalProperties)
    const keys = Object.values(variables).map(({ name }) => Settings.keyOf(name))
    assert.strictEqual(new Set(keys).size, keys.length)
    assert.sameMembers(
      Object.keys(properties),
      ["$schema", ...keys.filter((key) => key !== "config" && key !== "ignore")],
    )
    assert.strictEqual(new Set(Object.values(variables).map(({ name }) => Settings.flagOf(name))).size, keys.length)
    assert.deepInclude(properties.queueCapacity, { type: "integer", minimum: 0 })
    assert.deepStrictEqual(properties.picker.enum, ["max-score", "two-choices", "weighted-random"])
  })

  it("reads the default of a setting, written as JSON", () => {
    for (const variable of Object.values(variables)) {
      const json = asJson(variable)
      if (json === undefined) continue
      assert.deepStrictEqual(variable.natural.read(json), Result.succeed(variable.fallback), variable.name)
      const { pattern } = variable.natural.schema as { readonly pattern?: string }
      if (pattern !== undefined) assert.match(String(json), new RegExp(pattern), variable.name)
    }
  })

  for (const [name, text, json] of same) {
    it(`${name}: ${text} is the same as ${JSON.stringify(json)}`, () => {
      const { natural, parse } = named(name)
      const read = natural.read(json)
      assert.deepStrictEqual(Result.getOrUndefined(read), parse(text))
      assert.isDefined(parse(text))
    })
  }
})
