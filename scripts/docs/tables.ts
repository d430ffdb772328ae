/**
 * Writes the parts of `docs/` that repeat the code: settings, errors, metrics, findings of the doctor, and the lists of
 * services, layers and plugins. Each stands between two marks, `<!-- generated: NAME -->` and `<!-- end -->`.
 * `npm run tables` writes them; `test/docs.test.ts` fails when one is out of date.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import process from "node:process"
import { table as findings } from "../../src/command/doctor/kinds.ts"
import * as Settings from "../../src/layers/Settings.ts"
import { type RefusalReason, refuse } from "../../src/services/Refusal.ts"
import { publicFiles, root } from "../exports.ts"
import { type MetricRow, readMetrics } from "./metrics.ts"

/** The docstring at the head of a file below `src`, without its tags. */
export const headOf = (file: string): string => {
  const [, comment = ""] = /^\/\*\*([\s\S]*?)\*\//.exec(readFileSync(join(root, "src", file), "utf8")) ?? []
  return comment.replaceAll(/^ \* ?/gm, "").replaceAll(/@(?:category|since) [\w.]+/g, "").trim()
}

const firstSentence = (text: string): string =>
  /^.*?[.:?](?=\s|$)/.exec(text.split("\n\n")[0]!.replaceAll(/\s+/g, " "))?.[0].replace(/:$/, ".") ?? ""

/** An item of a list, in lines of at most 120 characters. */
const item = (text: string): string => `- ${text.replaceAll(/(.{1,116})(?: |$)/g, "$1\n  ").trim()}`

/** A table without lines of over 160 characters: the last cell of a long row goes on in a row below. */
const narrow = (table: string): string =>
  table.split("\n").flatMap((row) => {
    const at = row.slice(0, 158).lastIndexOf(" ")
    if (row.length <= 160) return [row]
    return [`${row.slice(0, at)} |`, `${"| ".repeat(row.split(" | ").length)}${row.slice(at + 1)}`]
  }).join("\n")

const described = (file: string): string =>
  item(`[\`${basename(file, ".ts")}\`](../src/${file}): ${firstSentence(headOf(file))}`)

/** Public files of a folder, under a heading for each room. */
const listOf = (folder: "services" | "layers" | "plugins"): string => {
  const rooms = Map.groupBy(
    publicFiles().filter((file) => file.startsWith(`${folder}/`)),
    (file) => file.split("/").slice(1, -1).join("/"),
  )
  return [...rooms].map(([room, files]) =>
    [...room === "" ? [] : [`### \`${room}\`\n`], ...files.map(described)].join("\n")
  ).join("\n\n")
}

/** The reasons of `RefusalReason` with their statuses and meanings. Meanings are in its docstring. */
export const errors = (): ReadonlyArray<{ reason: RefusalReason; status: string; meaning: string }> => {
  const source = readFileSync(join(root, "src/services/Refusal.ts"), "utf8")
  // An item of the docstring: `Reason` (the statuses, which may be left out): the meaning.
  const items = source.matchAll(/^ \* - `(\w+)`(?: \(([^)]*)\))?: ([\s\S]*?)(?=\n \* -|\n \*\n)/gm)
  const found = new Map(Array.from(items, ([, reason, status, text = ""]) => [reason, { status, text }]))
  const [, union = ""] = /^export type RefusalReason =\n([\s\S]*?)\n\n/m.exec(source) ?? []
  return Array.from(union.matchAll(/"(\w+)"/g), ([, name]) => {
    // The names come from the union itself.
    const reason = name as RefusalReason
    const { status = `${refuse(reason, "").status}`, text = "" } = found.get(reason) ?? {}
    return { reason, status, meaning: text.replaceAll(/\s*\n \* */g, " ") }
  })
}

const errorTable = (): string => {
  const rows = errors().map(({ meaning, reason, status }) => `| \`${reason}\` | ${status} | ${meaning} |`)
  return narrow(["| reason | status | when |", "| --- | --- | --- |", ...rows].join("\n"))
}

const metricItem = ({ labels, meaning, name, type }: MetricRow): string =>
  item([`\`${name}\``, `(${[type, ...labels.map((label) => `\`${label}\``)].join(", ")}):`, meaning].join(" "))

/** The document and the text of each generated part. */
export const parts: Readonly<Record<string, () => string | Promise<string>>> = {
  settings: () => narrow(Settings.table()),
  errors: errorTable,
  metrics: async () => (await readMetrics()).map(metricItem).join("\n"),
  services: () => listOf("services"),
  layers: () => listOf("layers"),
  plugins: () => listOf("plugins"),
  doctor: () => narrow(findings()),
}

const between = (name: string): RegExp =>
  new RegExp(`(?<=<!-- generated: ${name} -->\n\n)[\\s\\S]*?(?=\n\n<!-- end -->)`)

/** The generated part as the document has it now. */
export const shown = (name: string): string | undefined =>
  between(name).exec(readFileSync(join(root, "docs", `${name}.md`), "utf8"))?.[0]

/** Writes every generated part into its document, `docs/NAME.md`. */
export const writeTables = async (): Promise<void> => {
  for (const [name, make] of Object.entries(parts)) {
    if (shown(name) === undefined) throw new Error(`docs/${name}.md has no marks for the part ${name}`)
    const file = join(root, "docs", `${name}.md`)
    const text = await make()
    writeFileSync(file, readFileSync(file, "utf8").replace(between(name), () => text))
  }
}

if (import.meta.main) {
  await writeTables()
  // The simulated router of the metrics leaves timers behind.
  process.exit(0)
}
