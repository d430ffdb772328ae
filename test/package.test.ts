/** What is published: the list of public names, the manifest, the links, and the form of the changelog. */
import { assert, describe, it } from "@effect/vitest"
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { isBuiltin } from "node:module"
import { join } from "node:path"
import { exportsOf, list, listFile } from "../scripts/api.ts"
import { listed, root } from "../scripts/exports.ts"
import { manifest } from "../scripts/pack.ts"
import { published, texts, withLinks } from "../scripts/published.ts"
import { flaws } from "./support/changelog.ts"

const read = (file: string): string => readFileSync(join(root, file), "utf8")
const json = (file: string) => JSON.parse(read(file))

/** Names that exist when a program runs: what types alone are is not among them. */
const runtimeNames = (file: string): ReadonlyArray<string> =>
  [...new Set(exportsOf(file).flatMap(({ kind, name }) => ["interface", "type"].includes(kind) ? [] : [name]))].sort()

describe("the list of public names", () => {
  it("is up to date", () => {
    assert.strictEqual(
      readFileSync(listFile, "utf8"),
      list(),
      "write it again, and say in CHANGELOG.md what changed for users: npm run exports",
    )
  })

  it("has every public module and its names", () => {
    const text = list()
    for (const name of Object.keys(listed())) assert.include(text, `${join("llamero", name)}\n`)
    for (
      const line of [
        "  class Admission\n",
        "  interface Service\n",
        "  namespace Admission = llamero/services/Admission\n",
      ]
    ) {
      assert.include(text, line)
    }
    // A name from another file, a type of the same name as a constant, and a namespace that is no module.
    assert.include(text, "  class OllamaApiError\n")
    assert.match(text, /^ {2}const GpuReading\n {2}interface GpuReading$/m)
    assert.match(text, /^ {2}namespace Generators\n(?: {4}.*\n)* {4}const scenes$/m)
  })

  it("has the names that each module has when it runs", async () => {
    for (const file of Object.values(listed())) {
      const module: object = await import(join(root, file))
      assert.deepStrictEqual(runtimeNames(file), Object.keys(module).sort(), file)
    }
  }, 60_000)
})

describe("the manifest of the package", () => {
  const made = published(manifest(), listed())

  it("has the version of deno.json", () => {
    assert.strictEqual(json("deno.json").version, manifest().version)
  })

  it("depends on what the sources import, and on nothing else", () => {
    const imported = new Set(
      readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"))
        .flatMap((file) =>
          Array.from(
            read(join("src", file)).matchAll(
              /^(?:import|export)\b[^"'`;]*?from "([^"./][^"]*)"|import\("([^"./][^"]*)"\)/gm,
            ),
          )
        )
        .map((match) => match[1] ?? match[2]!).filter((specifier) => !isBuiltin(specifier))
        .map((specifier) => /^(?:@[^/]+\/)?[^/]+/.exec(specifier)![0]),
    )
    const { dependencies, optionalDependencies, peerDependencies } = made
    assert.deepStrictEqual(
      Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies }).sort(),
      [...imported].sort(),
    )
  })

  it("says where the sources are, and is public, with provenance", () => {
    const { bugs, homepage, publishConfig, repository } = made
    assert.match(repository.url, /^git\+https:\/\/[\w.-]+\/[\w.-]+\/[\w.-]+\.git$/)
    assert.strictEqual(bugs, `${homepage.replace("#readme", "")}/issues`)
    assert.deepStrictEqual(publishConfig, { access: "public", provenance: true })
    for (const field of ["private", "scripts", "devDependencies", "allowScripts"]) assert.notProperty(made, field)
  })

  it("exports no file of the command", () => {
    for (const name of Object.keys(made.exports)) assert.notMatch(name, /^\.\/command\b/)
  })
})

describe("links on the pages of the registries", () => {
  const links = (text: string) => Array.from(text.matchAll(/\]\(([^)\s]+)\)/g), (match) => match[1]!)

  it("lead from npm to this version in the repository", () => {
    const [web = "", version] = [published(manifest(), {}).homepage.replace("#readme", ""), manifest().version]
    for (const file of texts) {
      const before = links(read(file)).filter((link) => !/^[a-z]+:|^#/.test(link))
      const after = links(withLinks(read(file), manifest()))
      for (const link of after) assert.match(link, /^https?:|^#/, file)
      for (const link of before) {
        const kind = statSync(join(root, link.replace(/#.*/, ""))).isDirectory() ? "tree" : "blob"
        assert.include(after, `${web}/${kind}/v${version}/${link}`)
      }
    }
    assert.isAbove(links(read("README.md")).length, 20)
  })

  it("are checked, keep anchors, and leave code alone", () => {
    const made = (text: string) => withLinks(text, manifest())
    assert.match(made("[a](docs/keys.md#limits)"), /\/blob\/v[\d.]+\/docs\/keys\.md#limits\)$/)
    assert.match(made("![a](docs/request.svg)"), /\/raw\/v/)
    for (const same of ["[a](https://b.example/c)", "[a](#b)", "`f[0](1)`", "```js\nf[0](1)\n```"]) {
      assert.strictEqual(made(same), same)
    }
    assert.throws(() => made("[a](docs/nowhere.md)"), /ENOENT/)
  })

  it("lead from JSR to files of the package, where the repository is not linked to it", () => {
    const { include } = json("deno.json").publish
    for (const link of links(read("README.md"))) {
      if (!/^[^:#]+\.(md|ts|txt)$|^LICENSE$/.test(link) || link.startsWith("examples/")) continue
      assert.isTrue(include.some((path: string) => link === path || link.startsWith(`${path}/`)), link)
    }
    for (const path of include) assert.isTrue(existsSync(join(root, path)), path)
  })
})

describe("the changelog", () => {
  it("has the form of Keep a Changelog", () => {
    assert.deepStrictEqual(flaws(read("CHANGELOG.md"), manifest().version), [])
  })

  it.each([
    ["no heading", "## [Unreleased]\n\n[Unreleased]: https://a.example\n", "does not begin with # Changelog"],
    ["a bare version", "# Changelog\n\n## 0.1.0\n", "not a version with a date: 0.1.0"],
    [
      "a date that is none",
      "# Changelog\n\n## [0.1.0] - 2026-13-01\n\n[0.1.0]: https://a.example\n",
      "no date: 2026-13-01",
    ],
    ["no link", "# Changelog\n\n## [0.1.0] - 2026-11-27\n", "no link for 0.1.0"],
    [
      "an older version first",
      "# Changelog\n\n## [0.1.0] - 2026-11-27\n\n## [0.2.0] - 2026-11-28\n\n[0.1.0]: https://a\n[0.2.0]: https://a\n",
      "0.2.0 stands after 0.1.0",
    ],
    [
      "a section that is none",
      "# Changelog\n\n## [0.1.0] - 2026-11-27\n\n### New\n\n- a\n\n[0.1.0]: https://a.example\n",
      "not a kind of change: New",
    ],
    [
      "a section twice",
      "# Changelog\n\n## [0.1.0] - 2026-11-27\n\n### Added\n\n- a\n\n### Added\n\n- b\n\n[0.1.0]: https://a.example\n",
      "0.1.0 has Added twice",
    ],
    [
      "an empty section",
      "# Changelog\n\n## [0.1.0] - 2026-11-27\n\n### Added\n\n### Fixed\n\n- b\n\n[0.1.0]: https://a.example\n",
      "0.1.0 has an empty section: Added",
    ],
    [
      "not this version",
      "# Changelog\n\n## [0.0.9] - 2026-11-27\n\n[0.0.9]: https://a.example\n",
      "nothing about 0.1.0",
    ],
  ])("finds %s", (_, text, flaw) => {
    assert.include(flaws(text, "0.1.0"), flaw)
  })
})
