/**
 * The kinds of values that have parts: shares, limits, aliases, weights of scorers, lists of plugin files.
 *
 * @since 0.1.0
 */
import { Option, Schema } from "effect"
import type { Limits } from "../../services/ApiKeys.ts"
import type { PluginFileEntry } from "../../services/PluginFile.ts"
import * as Natural from "./natural.ts"
import * as Parse from "./parse.ts"
import type { Kind } from "./variable.ts"

/** Tenants with their shares. @internal */
export const shares: Kind<Readonly<Record<string, number>>> = {
  wanted: "shares above 0 with commas between, such as team-a=3,team-b=0.5",
  parse: Parse.shares,
  natural: Natural.record("names with shares above 0", Natural.positive("a share above 0")),
}

/** The scorers that a setting may name. Each is the `name` of its plugin. @category models @since 0.1.0 */
export const scorerNames = [
  "resident",
  "least-busy",
  "free-memory",
  "load-time",
  "peak-ewma",
  "session-affinity",
  "weight",
  "zone",
] as const

/** @category models @since 0.1.0 */
export type ScorerName = (typeof scorerNames)[number]

const isScorerName = (name: string): name is ScorerName => scorerNames.some((one) => one === name)

/** Scorers with their weights. @internal */
export const scorers: Kind<ReadonlyArray<readonly [ScorerName, number]>> = {
  wanted: `scorers with weights above 0, such as resident=3,least-busy=1, from ${scorerNames.join(", ")}`,
  parse: (text) => {
    const found = Object.entries(Parse.shares(text) ?? { "": 1 })
    const known = found.flatMap(([name, weight]) => isScorerName(name) ? [[name, weight] as const] : [])
    return known.length === found.length ? known : undefined
  },
  natural: Natural.map(
    Natural.record("names of scorers with weights above 0", Natural.positive("a weight above 0"), scorerNames),
    "scorers with weights above 0",
    (weights) =>
      Object.entries(weights).flatMap(([name, weight]) => isScorerName(name) ? [[name, weight] as const] : []),
  ),
}

const model = "^[^\\s|,]+$"

/** One model, or several to fall back on in this order. */
const models: Natural.Natural<ReadonlyArray<string>> = Natural.make(
  "the name of a model, or a list of names",
  {
    anyOf: [{ type: "string", pattern: model }, {
      type: "array",
      items: { type: "string", pattern: model },
      minItems: 1,
    }],
  },
  (value) => {
    const chain: ReadonlyArray<unknown> = Array.isArray(value) ? value : [value]
    const named = chain.filter((name) => typeof name === "string" && new RegExp(model).test(name))
    return named.length === chain.length && chain.length > 0 ? named.map(String) : undefined
  },
)

/** `gpt-4o=llama3.1:8b` or, with models to fall back on, `gpt-4o=llama3.1:70b|llama3.1:8b`. @internal */
export const aliases: Kind<Readonly<Record<string, ReadonlyArray<string>>>> = {
  wanted: "names with the models they stand for, such as gpt-4o=llama3.1:70b|llama3.1:8b,gpt-4o-mini=mistral:7b",
  parse: (text) => {
    const pairs = Parse.pairs(text)
    if (pairs === undefined) return undefined
    const chains = Object.entries(pairs).map(([name, models]) => [name, models.split("|")] as const)
    return chains.some(([, chain]) => chain.includes("")) ? undefined : Object.fromEntries(chains)
  },
  natural: Natural.record("other names with the models they stand for", models),
}

const limitNames: Readonly<Record<string, keyof Limits>> = {
  requests: "requestsPerMinute",
  tokens: "tokensPerMinute",
  concurrent: "concurrent",
}

/** `requests=60,tokens=20000,concurrent=4`. @internal */
export const limits: Kind<Limits> = {
  wanted: "limits such as requests=60,tokens=20000,concurrent=4: the first two for a minute",
  parse: (text) => {
    const pairs = Object.entries(Parse.pairs(text) ?? { wrong: "" })
    const read = pairs.map(([name, value]) => [limitNames[name], Parse.whole(1)(value)] as const)
    return read.every(([name, value]) => name !== undefined && value !== undefined)
      ? Object.fromEntries(read)
      : undefined
  },
  natural: Natural.map(
    Natural.record("limits", Natural.whole("a whole number of at least 1", 1), Object.keys(limitNames)),
    "limits",
    (values) => Object.fromEntries(Object.entries(values).map(([name, value]) => [limitNames[name], value])),
  ),
}

const Entry = Schema.Struct({
  from: Schema.String,
  options: Schema.optionalKey(Schema.Unknown),
  weight: Schema.optionalKey(Schema.Finite.check(Schema.isGreaterThan(0))),
})
const decodeEntry = Schema.decodeUnknownOption(Entry, { onExcessProperty: "error" })
const decodeEntries = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Array(Entry)), {
  onExcessProperty: "error",
})

const entry: Natural.Natural<PluginFileEntry> = Natural.make(
  "the path or URL of a plugin file, or an object with from, options and weight",
  {
    anyOf: [{ type: "string" }, {
      type: "object",
      properties: {
        from: { type: "string", description: "Path or URL of the plugin file" },
        options: { description: "Options of the plugin" },
        weight: { type: "number", exclusiveMinimum: 0, description: "Weight of the scorers in the file" },
      },
      required: ["from"],
      additionalProperties: false,
    }],
  },
  (value) => typeof value === "string" ? { from: value } : Option.getOrUndefined(decodeEntry(value)),
)

/** Paths with commas between; JSON where plugins have options or weights. @internal */
export const plugins: Kind<ReadonlyArray<PluginFileEntry>> = {
  wanted: "paths or URLs of plugin files with commas between, or JSON such as " +
    '[{"from":"./near.ts","options":{"zone":"a"},"weight":2}]',
  parse: (text) =>
    text.trimStart().startsWith("[")
      ? Option.getOrUndefined(decodeEntries(text))
      : Parse.list(text).map((from) => ({ from })),
  natural: Natural.list("plugin files", entry),
}

/** @category models @since 0.1.0 */
export type Level = "All" | "Trace" | "Debug" | "Info" | "Warn" | "Error" | "Fatal" | "None"
const levels: ReadonlyArray<Level> = ["All", "Trace", "Debug", "Info", "Warn", "Error", "Fatal", "None"]

const levelWanted = `one of ${levels.join(", ")}`
const parseLevel = (text: string) =>
  levels.find((level) => level.toLowerCase() === text.toLowerCase().replace(/^warning$/, "warn"))

/** Most other programs call the level `Warn` "warning". @internal */
export const level: Kind<Level> = {
  wanted: levelWanted,
  parse: parseLevel,
  natural: Natural.words(levelWanted, parseLevel, levels),
}
