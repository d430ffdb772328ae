/** The README can be read in five minutes, and what it names exists. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import { publicFiles } from "../scripts/exports.ts"

const root = resolve(import.meta.dirname, "..")
const readme = readFileSync(resolve(root, "README.md"), "utf8")
const scripts = Object.keys(JSON.parse(readFileSync(resolve(root, "package.json"), "utf8")).scripts)

// Links, settings and the length of lines: `docs.test.ts` checks them in all documents.
describe("README", () => {
  it("has at most 170 lines", () => {
    assert.isAtMost(readme.trimEnd().split("\n").length, 170)
  })

  it("names only scripts that exist", () => {
    const named = Array.from(readme.matchAll(/npm (?:run )?([a-z:]+)/g), (match) => match[1]!)
    for (const name of named) assert.include([...scripts, "ci"], name)
  })

  it("names only plugins that exist", () => {
    const [, table = ""] = /^\| kind \| decides[\s\S]*?\n((?:\|.*\n)+)/m.exec(readme) ?? []
    const named = Array.from(table.matchAll(/`([A-Z]\w+)`/g), (match) => match[1]!)
    assert.isAbove(named.length, 20)
    for (const name of named) assert.isTrue(publicFiles().some((file) => file.endsWith(`/${name}.ts`)), name)
  })

  it("has the addresses that `npm run pack:try` replaces in its first router", () => {
    const [, router = ""] = /^```ts\n([\s\S]*?)^```/m.exec(readme) ?? []
    for (const text of ["http://10.0.0.4:11434", "http://10.0.0.5:11434", "port: 11435"]) assert.include(router, text)
  })
})
