/** The page of the doctor names its flags, and the shape of its JSON. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import { text } from "../../../src/command/doctor/print.ts"
import { report } from "../../../src/command/doctor/report.ts"
import { env, healthy, put } from "./healthy.ts"

const root = resolve(import.meta.dirname, "../../..")
const page = readFileSync(resolve(root, "docs/doctor.md"), "utf8")

/** The keys of a value, in order; those of the first element of a list. */
const shape = (value: unknown): unknown =>
  Array.isArray(value)
    ? [shape(value[0])]
    : typeof value === "object" && value !== null
    ? Object.fromEntries(Object.entries(value).map(([key, part]) => [key, shape(part)]))
    : null

describe("docs/doctor.md", () => {
  it("shows JSON as it is printed", () => {
    const [, json = ""] = /```json\n([\s\S]*?)```/.exec(page) ?? []
    const broken = put({ environments: env({ OLLAMA_MAX_VRAM: "0" })(healthy).environments })(healthy)
    assert.deepStrictEqual(shape(JSON.parse(json)), shape(report(broken)))
  })

  it("names every flag, and only flags that exist", () => {
    const source = readFileSync(resolve(root, "src/command/doctor/flags.ts"), "utf8")
    const made = Array.from(
      source.matchAll(/\b(?:Flag\.[A-Z]\w+|duration|flag|repeated)\("([a-z-]+)"/g),
      ([, name]) => name!,
    )
    const named = Array.from(page.matchAll(/^\| `--([a-z-]+)/gm), ([, name]) => name!)
    assert.isAbove(made.length, 8)
    assert.sameMembers(named, made)
  })

  it("shows a finding as it is printed", () => {
    const [, shown = ""] = /```text\n([\s\S]*?)```/.exec(page) ?? []
    const broken = put({
      environments: [{ of: "ollama", from: "process 4711", backends: ["a"], values: { OLLAMA_MAX_VRAM: "0" } }],
    })(healthy)
    const printed = text(report(broken), { colours: false, columns: 120 })
    assert.include(printed.replaceAll(/\s+/g, " "), shown.replaceAll(/\s+/g, " ").trim())
  })
})
