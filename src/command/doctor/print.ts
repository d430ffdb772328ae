/**
 * The report for people.
 *
 * @since 0.1.0
 */
import { bytes, type Finding, names } from "./finding.ts"
import type { Severity } from "./kinds.ts"
import type { Report } from "./report.ts"

/** How it is printed. */
export interface Style {
  /** Width of the terminal. */
  readonly columns: number
  readonly colours: boolean
}

const titles: Readonly<Record<Severity, readonly [one: string, many: string, colour: number]>> = {
  error: ["error", "errors", 31],
  warning: ["warning", "warnings", 33],
  advice: ["piece of advice", "pieces of advice", 36],
}

const severities: ReadonlyArray<Severity> = ["error", "warning", "advice"]

const bold = 1
const green = 32
const dim = 2

const counted = (count: number, [one, many]: readonly [string, string, number]): string =>
  `${count} ${count === 1 ? one : many}`

/** Words in lines of at most `width`; a word that is longer has a line of its own. */
const wrapped = (text: string, width: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(/\s+/)) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === "" ? word : `${line} ${word}`
  }
  return [...lines, line]
}

const labelWidth = 10

/** A label and a text beside it, in lines. */
const row = (label: string, text: string, columns: number): ReadonlyArray<string> =>
  wrapped(text, Math.max(30, columns - labelWidth)).map((line, at) =>
    `${(at === 0 ? label : "").padEnd(labelWidth)}${line}`
  )

/** The result in one line. */
const summary = ({ counts, healthy, lookedAt }: Report, paint: (text: string, code: number) => string): string => {
  const found = severities.filter((severity) => counts[severity] > 0).map((severity) =>
    counted(counts[severity], titles[severity])
  )
  const what = counted(lookedAt.backends.length, ["backend", "backends", 0])
  return healthy
    ? paint(`Healthy: no problem found with ${what}${counts.advice > 0 ? `; ${found.join()}` : ""}.`, green)
    : paint(`Found ${names(found)} with ${what}.`, bold)
}

const lookedAt = ({ lookedAt: { backends, machines, models, router } }: Report): ReadonlyArray<string> => [
  ...backends.map(({ id, version }) => `${id}: ${version === null ? "no Ollama answered" : `Ollama ${version}`}`),
  ...machines.map(({ cuda, driver, gpus, name, source }) => {
    const where = name === "localhost" ? "this machine" : name
    const cards = gpus.map(({ bytes: size, name }) => size === null ? name : `${name} with ${bytes(size)}`)
    const versions = [driver === null ? [] : `driver ${driver}`, cuda === null ? [] : `CUDA ${cuda}`].flat()
    const shown = cards.length > 0 ? names(cards) : source === null ? "GPUs are not known" : "no GPU"
    return `${where}: ${shown}${versions.length === 0 ? "" : ` (${versions.join(", ")})`}`
  }),
  ...models.length === 0 ? [] : [`models: ${models.join(", ")}`],
  ...router === null ? [] : [`router: ${router}`],
]

/** The whole report. It ends with a line break. */
export const text = (report: Report, { colours, columns }: Style): string => {
  const width = Math.min(columns, 100)
  const paint = (text: string, code: number) => colours ? `\x1b[${code}m${text}\x1b[0m` : text
  const shown = ({ cause, id, remedy, severity, subject, symptom }: Finding): ReadonlyArray<string> => [
    `${paint(titles[severity][0] === "error" ? "ERROR" : severity.toUpperCase(), titles[severity][2])}  ${
      paint(subject, bold)
    }  ${paint(id, dim)}`,
    ...row("  seen", symptom, width),
    ...row("  cause", cause, width),
    ...row("  remedy", remedy, width),
    "",
  ]
  const section = (title: string, lines: ReadonlyArray<string>): ReadonlyArray<string> =>
    lines.length === 0 ? [] : ["", title, ...lines.flatMap((line) => row("  -", line, width).map(tight))]
  return [
    ...report.findings.flatMap(shown),
    summary(report, paint),
    ...section("Looked at:", lookedAt(report)),
    ...section("Not known:", report.unknown.map(({ remedy, what }) => `${what}: ${remedy}`)),
    "",
  ].join("\n")
}

/** A list needs less space than the parts of a finding. */
const tight = (line: string): string => line.slice(0, 4) + line.slice(labelWidth)
