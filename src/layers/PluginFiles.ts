/**
 * Loads plugins from files, so that a router can be assembled from a list of them.
 *
 * @since 0.1.0
 */
import { Effect, Schema } from "effect"
import type {
  Filter,
  Guard,
  Observer,
  Picker,
  Plan,
  Profile,
  RetryPolicy,
  Scorer,
  VictimPicker,
} from "../services/Plugin.ts"
import { type AnyPlugin, type Definition, PluginError, type PluginFileEntry } from "../services/PluginFile.ts"
import { didYouMean, nearest } from "../support/nearest.ts"
import * as Loading from "./pluginfiles/loading.ts"
import * as Options from "./pluginfiles/options.ts"

/** The plugins of all files, by kind, in the order of the files. @category models @since 0.1.0 */
export interface Plugins {
  readonly filters: ReadonlyArray<Filter>
  readonly guards: ReadonlyArray<Guard>
  readonly observers: ReadonlyArray<Observer>
  readonly picker: Picker | undefined
  readonly plans: ReadonlyArray<Plan>
  readonly retry: RetryPolicy | undefined
  readonly scorers: Profile["scorers"]
  readonly victims: VictimPicker | undefined
}

/** The functions that each kind must have. */
const functions: { readonly [K in AnyPlugin["kind"]]: ReadonlyArray<string> } = {
  filter: ["keep"],
  guard: ["check"],
  observer: ["observe"],
  picker: ["pick"],
  plan: ["targets"],
  retry: ["seen", "decide"],
  scorer: ["score"],
  "victim-picker": ["pick"],
}
const kinds = Object.keys(functions).join(", ")

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

const wantedExport = "a plugin, a list of plugins or PluginFile.define(…)"

const article = (value: unknown): string =>
  value === null
    ? "null"
    : Array.isArray(value)
    ? "a list"
    : `${typeof value === "object" ? "an" : "a"} ${typeof value}`

/** Why a value is not a plugin; `undefined` when it is one. */
const flaw = (value: unknown): string | undefined => {
  if (!isRecord(value) || Array.isArray(value)) {
    const hint = typeof value === "function" ? "; a function that makes a plugin belongs in PluginFile.define" : ""
    return `its default export must be ${wantedExport}; got ${article(value)}${hint}`
  }
  const { kind, name } = value
  const wanted = typeof kind === "string" && Object.hasOwn(functions, kind)
    ? functions[kind as AnyPlugin["kind"]]
    : undefined
  if (wanted === undefined) {
    const near = typeof kind === "string" ? didYouMean(kind, Object.keys(functions)) : ""
    return `its kind must be one of ${kinds}; got ${JSON.stringify(kind) ?? "none"}${near}`
  }
  if (typeof name !== "string" || name === "") return `a ${kind} needs a name`
  const lacking = wanted.find((method) => typeof value[method] !== "function")
  if (lacking === undefined) return undefined
  const near = nearest(lacking, Object.keys(value).filter((key) => typeof value[key] === "function"))
  return `the ${kind} ${JSON.stringify(name)} needs a function ${lacking}${
    near === undefined ? "" : `; it has ${near}`
  }`
}

/** A file whose plugin has a name instead of being the default export. */
const noDefault = (module: Readonly<Record<string, unknown>>): string => {
  const name = Object.keys(module).find((name) => isDefinition(module[name]) || flaw(module[name]) === undefined)
  return name === undefined
    ? `has no default export: it must export ${wantedExport} as default`
    : `has no default export; did you mean export default ${name}?`
}

const isDefinition = (value: unknown): value is Definition<unknown> =>
  isRecord(value) && value["kind"] === "definition" && typeof value["make"] === "function" && "options" in value

/** The value that a file exports; for a definition the value that it makes from the entry's options. */
const exportedBy = Effect.fnUntraced(function* (
  entry: PluginFileEntry,
  folder: string,
): Effect.fn.Return<unknown, PluginError> {
  const fail = (description: string) => new PluginError({ file: entry.from, description })
  const module = yield* Effect.mapError(Loading.load(entry.from, folder), fail)
  const { default: exported } = module
  if (exported === undefined) return yield* fail(noDefault(module))
  if (!isDefinition(exported)) return entry.options === undefined ? exported : yield* fail("takes no options")
  const options = yield* Effect.mapError(
    Schema.decodeUnknownEffect(exported.options, { onExcessProperty: "error", errors: "all" })(entry.options ?? {}),
    (error) => fail(`its options are wrong: ${Options.explain(exported.options, error)}`),
  )
  return yield* Effect.try({
    try: () => exported.make(options),
    catch: (error) => fail(error instanceof Error ? error.message : String(error)),
  })
})

const of = <K extends AnyPlugin["kind"]>(all: ReadonlyArray<AnyPlugin>, kind: K) =>
  all.filter((plugin): plugin is Extract<AnyPlugin, { readonly kind: K }> => plugin.kind === kind)

const load = Effect.fnUntraced(function* (entry: PluginFileEntry, folder: string) {
  const made = yield* exportedBy(entry, folder)
  const list: ReadonlyArray<unknown> = Array.isArray(made) ? made : [made]
  const fail = (description: string) => new PluginError({ file: entry.from, description })
  if (list.length === 0) return yield* fail("exports an empty list")
  for (const one of list) {
    const description = flaw(one)
    if (description !== undefined) return yield* fail(description)
  }
  if (entry.weight !== undefined && of(list as ReadonlyArray<AnyPlugin>, "scorer").length === 0) {
    return yield* fail("has a weight, but no scorer that it could count for")
  }
  return { entry, plugins: list as ReadonlyArray<AnyPlugin> }
})

/**
 * Loads plugin files: all of them, or fails with a `PluginError` that says which file is wrong and why.
 *
 * **Details**
 *
 * `folder` is the URL that the paths of the entries are relative to. It ends with a slash. The default export of a file
 * is a plugin, a list of plugins, or a definition made by `PluginFile.define`, whose options are checked against its
 * schema. All files together may bring at most one picker, one retry policy and one victim picker.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromFiles: (
  entries: ReadonlyArray<PluginFileEntry>,
  folder: string,
) => Effect.Effect<Plugins, PluginError> = Effect.fnUntraced(function* (entries, folder) {
  const loaded = yield* Effect.forEach(entries, (entry) => load(entry, folder))
  for (const kind of ["picker", "retry", "victim-picker"] as const) {
    const brings = loaded.flatMap(({ entry, plugins }) => of(plugins, kind).map(() => entry.from))
    if (brings.length > 1) {
      return yield* new PluginError({ file: brings[1]!, description: `there is a ${kind} already, from ${brings[0]}` })
    }
  }
  const all = loaded.flatMap(({ plugins }) => plugins)
  return {
    filters: of(all, "filter"),
    guards: of(all, "guard"),
    observers: of(all, "observer"),
    picker: of(all, "picker")[0],
    plans: of(all, "plan"),
    retry: of(all, "retry")[0],
    scorers: loaded.flatMap(({ entry, plugins }) =>
      of(plugins, "scorer").map((scorer: Scorer) => ({ scorer, weight: entry.weight ?? 1 }))
    ),
    victims: of(all, "victim-picker")[0],
  }
})

/**
 * A profile with the plugins of files added. A picker from a file replaces the profile's own.
 *
 * @category combinators
 * @since 0.1.0
 */
export const extend = (profile: Profile, { filters, picker, scorers }: Plugins): Profile => ({
  name: profile.name,
  filters: [...profile.filters, ...filters],
  scorers: [...profile.scorers, ...scorers],
  picker: picker ?? profile.picker,
})
