/** The pages of the reference, in Markdown: one for each public module, and the tables that prose pages ask for. */
import * as Settings from "../../src/layers/Settings.ts"
import { type RefusalReason, refuse } from "../../src/services/Refusal.ts"
import type { MetricRow } from "./metrics.ts"
import type { Declared, Module } from "./modules.ts"
import { type LayerType, layerType, type Option, options, pluginType } from "./types.ts"

const row = (...cells: ReadonlyArray<string>): string => `| ${cells.join(" | ")} |`
const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<string>): string =>
  [row(...head), row(...head.map(() => "---")), ...rows].join("\n")

const bars = (text: string): string => text.replaceAll("|", "\\|")
const codes = (names: ReadonlyArray<string>): string =>
  names.length === 0 ? "nothing" : names.map((name) => `\`${bars(name)}\``).join(", ")

/** The first sentence of a docstring, on one line. */
export const first = (doc: string): string => {
  const text = doc.split(/\n\n|\n- |\*\*(?:Details|Example|Gotchas)\*\*/)[0]!.replaceAll("\n", " ").trim()
  return /^.*?[.:](?=\s|$)/.exec(text)?.[0].replace(/:$/, ".") ?? text
}

export interface LayerOf {
  readonly module: Module
  readonly declared: Declared
  readonly type: LayerType
}

export const layersOf = (modules: ReadonlyArray<Module>): ReadonlyArray<LayerOf> =>
  modules.filter(({ folder }) => folder === "layers").flatMap((module) =>
    module.declared.filter(({ isExported }) => isExported).flatMap((declared) => {
      const type = layerType(declared, module)
      return type === undefined ? [] : [{ module, declared, type }]
    })
  )

/** What a layer is, in its own words or its module's. */
const says = ({ declared, module }: LayerOf): string =>
  bars((declared.name === "layer" ? first(module.doc) : first(declared.doc)) || first(declared.doc))

const layerTable = (layers: ReadonlyArray<LayerOf>): string =>
  table(
    ["layer", "what it is", "gives", "needs", "may fail with"],
    layers.map((layer) =>
      row(
        `\`${layer.module.name}.${layer.declared.name}\``,
        says(layer),
        codes(layer.type.gives),
        codes(layer.type.needs),
        codes(layer.type.errors),
      )
    ),
  )

const optionTable = (all: ReadonlyArray<Option>): string =>
  table(
    ["option", "type", "default", "meaning"],
    all.map(({ doc, fallback, isOptional, name, type }) =>
      row(
        `\`${name}\``,
        `\`${bars(type)}\``,
        isOptional ? bars(fallback) : "has to be given",
        bars(doc),
      )
    ),
  )

const isTag = ({ text }: Declared): boolean => text.includes("extends Context.Service<")

/** The modules whose services have pages, by the name of the service. */
export const tags = (modules: ReadonlyArray<Module>): ReadonlyMap<string, Module> =>
  new Map(modules.flatMap((module) => module.declared.filter(isTag).map(({ name }) => [name, module] as const)))

/** A value and a type of one name are one thing to a reader. */
const declaredText = (all: ReadonlyArray<Declared>): string => {
  const [{ name = "" } = {}] = all
  const parts = all.flatMap((one) => {
    const takes = one.name.endsWith("Options") || !one.text.startsWith("interface ") ? options(one) : []
    const isTable = takes.length > 0 && /^interface \w+(<.*>)? \{/.test(one.text)
    return [one.doc, isTable ? "" : "```ts\n" + one.text + "\n```", takes.length > 0 ? optionTable(takes) : ""]
  })
  // Names differ by case alone now and then, so that their anchors keep it.
  return [`<h3 id="${name}">${name}</h3>`, ...new Set(parts)].filter((part) => part !== "").join("\n\n")
}

const byName = (all: ReadonlyArray<Declared>): ReadonlyArray<ReadonlyArray<Declared>> =>
  Array.from(new Set(all.map(({ name }) => name)), (name) => all.filter((one) => one.name === name))

const importOf = ({ file, name }: Module, barrel: ReadonlySet<string>): string =>
  barrel.has(name) ? `import { ${name} } from "llamero"` : `import * as ${name} from "llamero/${file.slice(0, -3)}"`

/** A module's page. */
export const modulePage = (
  module: Module,
  modules: ReadonlyArray<Module>,
  barrel: ReadonlySet<string>,
  example: string,
): string => {
  const { declared, doc, folder, name } = module
  const layers = layersOf(modules)
  const parts = [`# ${name}`, doc, "```ts\n" + importOf(module, barrel) + "\n```"]
  if (folder === "plugins") {
    const { kinds, needs } = pluginType(module)
    parts.push(`Makes: ${codes(kinds)}. Asks the router's stack for: ${codes(needs)}.`)
  }
  if (example !== "") parts.push("## Example", example)
  if (folder === "layers") {
    const own = layers.filter((layer) => layer.module === module)
    if (own.length > 0) parts.push("## Gives and needs", layerTable(own))
  }
  for (const tag of folder === "services" ? declared.filter(isTag) : []) {
    const giving = layers.filter(({ type }) => type.gives.includes(tag.name))
    if (giving.length > 0) parts.push(`## Layers that give ${tag.name}`, layerTable(giving))
  }
  const shown = declared.filter(({ isExported }) => isExported)
  if (shown.length > 0) parts.push("## What it exports", ...byName(shown).map(declaredText))
  return parts.join("\n\n")
}

const link = ({ file, name }: Module): string => `[\`${name}\`](../src/${file})`

/** The reasons there are, with what their docstring says of each. */
export const errors = (modules: ReadonlyArray<Module>): ReadonlyArray<{ reason: RefusalReason; meaning: string }> => {
  const { doc = "", text = "" } =
    modules.find(({ name }) => name === "Refusal")?.declared.find(({ name }) => name === "RefusalReason") ?? {}
  const meanings = new Map(Array.from(doc.matchAll(/^- `(\w+)`: ([\s\S]*?)(?=\n- |$(?![\s\S]))/gm), (match) => [
    match[1],
    match[2]?.replaceAll(/\s+/g, " ").trim(),
  ]))
  return Array.from(text.matchAll(/"(\w+)"/g), ([, name]) => ({
    // As the type that has been read lists it.
    reason: name as RefusalReason,
    meaning: meanings.get(name) ?? "",
  }))
}

/** The tables that prose asks for: `<!-- generated: metrics -->`. */
export const generated = (
  modules: ReadonlyArray<Module>,
  metrics: ReadonlyArray<MetricRow>,
): Record<string, string> => ({
  settings: table(
    ["variable", "value", "default", "meaning"],
    Object.values(Settings.variables).map(({ meaning, name, shown, wanted }) =>
      row(`\`${name}\``, bars(wanted), shown && `\`${shown}\``, bars(meaning))
    ),
  ),
  metrics: table(
    ["metric", "type", "labels", "meaning"],
    metrics.map(({ labels, meaning, name, type }) =>
      row(`\`${name}\``, type, labels.length === 0 ? "" : codes(labels), meaning)
    ),
  ),
  errors: table(
    ["reason", "status", "when"],
    errors(modules).map(({ meaning, reason }) => row(`\`${reason}\``, `${refuse(reason, "").status}`, bars(meaning))),
  ),
  services: table(
    ["service", "what it is"],
    modules.filter(({ folder }) => folder === "services").map((module) => row(link(module), bars(first(module.doc)))),
  ),
  layers: layerTable(layersOf(modules)),
  plugins: table(
    ["plugin", "kind", "what it does"],
    modules.filter(({ folder }) => folder === "plugins").map((module) =>
      row(link(module), pluginType(module).kinds.join(", "), bars(first(module.doc)))
    ),
  ),
})
