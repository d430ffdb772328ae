/** What the README says of the code is compared with the code. */
import { assert, describe, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"
import { resolve } from "node:path"
import * as Settings from "../src/layers/Settings.ts"

const root = resolve(import.meta.dirname, "..")
const readme = readFileSync(resolve(root, "README.md"), "utf8")
const scripts = Object.keys(JSON.parse(readFileSync(resolve(root, "package.json"), "utf8")).scripts)

describe("README", () => {
  it("shows the settings there are", () => {
    const [, shown] = /<!-- settings[^>]*-->\n([\s\S]*?)\n<!-- \/settings -->/.exec(readme)!
    assert.strictEqual(shown, Settings.table(), "paste Settings.table() between the two marks")
  })

  it("links only to what exists", () => {
    const links = Array.from(readme.matchAll(/\]\(([^)]+)\)/g), (match) => match[1]!).filter((link) =>
      !link.includes("://")
    )
    assert.isAbove(links.length, 3)
    for (const link of links) assert.isTrue(existsSync(resolve(root, link)), link)
  })

  it("names only scripts that exist", () => {
    const named = Array.from(readme.matchAll(/npm (?:run )?([a-z:]+)/g), (match) => match[1]!)
    for (const name of named) assert.include([...scripts, "ci"], name)
  })
})
