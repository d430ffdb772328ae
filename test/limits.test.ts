/** The limits on length: the lint rules find what is planted, and the files of `src` are short. */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"

const root = resolve(import.meta.dirname, "..")

/** Codes of the findings in one file of a small project with our rules. */
const findings = (file: string, text: string): ReadonlyArray<string> => {
  const folder = mkdtempSync(join(tmpdir(), "llamero-lint-"))
  try {
    mkdirSync(join(folder, "src"))
    writeFileSync(join(folder, file), text)
    const config = join(folder, "deno.json")
    const lint = { plugins: [join(root, "scripts/limits.ts")], rules: { tags: [] } }
    writeFileSync(config, JSON.stringify({ lint }))
    const command = ["lint", "--quiet", "--json", "--config", config, join(folder, file)]
    return JSON.parse(run(command)).diagnostics.map(({ code }: { readonly code: string }) => code)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What `deno` prints. It fails where it finds something, and prints that all the same. */
const run = (command: ReadonlyArray<string>): string => {
  try {
    return execFileSync(join(root, "node_modules/.bin/deno"), command, {
      cwd: tmpdir(),
      encoding: "utf8",
      stdio: "pipe",
    })
  } catch (error) {
    return (error as { readonly stdout: string }).stdout
  }
}

const lines = (count: number, line: string): string => `${line}\n`.repeat(count)

describe("the limits on length", () => {
  it("a function in src has at most 70 lines", () => {
    const declared = (count: number) => `export function f() {\n${lines(count - 2, "  f")}}\n`
    const arrow = (count: number) => `export const f = () => {\n${lines(count - 2, "  f")}}\n`
    const generator = (count: number) => `export const f = g(function* () {\n${lines(count - 2, "  f")}})\n`
    for (const make of [declared, arrow, generator]) {
      assert.deepStrictEqual(findings("src/f.ts", make(70)), [])
      assert.deepStrictEqual(findings("src/f.ts", make(71)), ["limits/function-length"])
    }
    assert.deepStrictEqual(findings("f.ts", arrow(71)), [])
  }, 60_000)

  it("a file in src has at most 250 lines", () => {
    assert.deepStrictEqual(findings("src/f.ts", lines(250, "f()")), [])
    assert.deepStrictEqual(findings("src/f.ts", lines(251, "f()")), ["limits/file-length"])
    assert.deepStrictEqual(findings("f.ts", lines(251, "f()")), [])
  }, 60_000)

  it("a line of a comment has at most 120 characters, wherever it is", () => {
    const prose = (length: number) => "a ".repeat(length).slice(0, length - 1) + "b"
    assert.deepStrictEqual(findings("f.ts", `// ${prose(117)}\nf()\n`), [])
    assert.deepStrictEqual(findings("f.ts", `// ${prose(118)}\nf()\n`), ["limits/prose-length"])
    assert.deepStrictEqual(findings("f.ts", `/**\n * a\n * ${prose(118)}\n */\nf()\n`), ["limits/prose-length"])
    assert.deepStrictEqual(findings("f.ts", `f(\`${prose(200)}\`)\n`), [])
    assert.deepStrictEqual(findings("f.ts", `// https://example.com/${"a".repeat(120)}\nf()\n`), [])
  }, 60_000)

  it("half of the files of src have at most 100 lines", () => {
    const src = join(root, "src")
    const sizes = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"))
      .map((file) => readFileSync(join(src, file), "utf8").trimEnd().split("\n").length).sort((a, b) => a - b)
    assert.isAbove(sizes.length, 250)
    assert.isAtMost(sizes[Math.floor(sizes.length / 2)]!, 100)
  })
})
