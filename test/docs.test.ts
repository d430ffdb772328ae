/** The documentation agrees with the code, its links lead somewhere, and the reference can be built. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric, References } from "effect"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, dirname, join, resolve } from "node:path"
import { build } from "../scripts/docs.ts"
import { parse } from "../scripts/docs/metrics.ts"
import { errors, headOf, parts, shown } from "../scripts/docs/tables.ts"
import { publicFiles, root } from "../scripts/exports.ts"
import * as L from "../src/index.ts"
import { SimulatedFleet, SimulatedOllamaApi, SimulatedTransport } from "../src/simulated/index.ts"
import * as Kit from "../src/testing/index.ts"

const read = (file: string): string => readFileSync(join(root, file), "utf8")
const pages = readdirSync(join(root, "docs")).filter((file) => file.endsWith(".md")).map((file) => `docs/${file}`)
const documents = ["README.md", "CHANGELOG.md", "bench/README.md", ...pages]

const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" }).filter((file) =>
  file.endsWith(".ts")
).map((file) => read(join("src", file))).join("\n")

/** The anchors of a document, as GitHub makes them from its headings. */
const anchorsOf = (text: string): ReadonlyArray<string> =>
  Array.from(
    text.matchAll(/^#{1,4} (.*)$/gm),
    ([, heading = ""]) => heading.toLowerCase().replaceAll(/[^\p{L}\p{N}_ -]/gu, "").trim().replaceAll(" ", "-"),
  )

/** Labels of every metric in a scrape of a router that serves, embeds, shares, queues, sheds and fails. */
const scrapeUnderLoad = Effect.gen(function* () {
  const url = "http://gpu:11434"
  const router = yield* L.WebServer.make(L.OllamaApp.layer())
  const { get } = yield* SimulatedFleet.SimulatedFleet
  const ask = async (path: string, body: object): Promise<number> => {
    const request = new Request(`http://llamero${path}`, { method: "POST", body: JSON.stringify(body) })
    const response = await router.fetch(request)
    await response.text()
    return response.status
  }
  const generate = (prompt: string, options: object = {}) =>
    ask("/api/generate", { model: "tiny-eos", prompt, stream: false, ...options })
  const metrics = Effect.promise(async () => (await router.fetch(new Request("http://llamero/metrics"))).text())
  yield* metrics
  assert.strictEqual(yield* Effect.promise(() => generate("first")), 200)
  const statuses = yield* Effect.promise(() =>
    Promise.all([
      ...Array.from({ length: 20 }, (_, i) => generate(`${i}`)),
      ...Array.from({ length: 5 }, () => generate("same", { options: { temperature: 0 } })),
      ...Array.from({ length: 5 }, (_, i) => ask("/api/embed", { model: "tiny-embed", input: `${i}` })),
      generate("tier", { options: { num_ctx: 64 } }),
      ask("/api/chat", { model: "nobody-has-it", messages: [] }),
    ])
  )
  assert.includeMembers(statuses, [200, 404, 503])
  get(url).script(SimulatedFleet.Fault.refuse, { path: "/api/generate" })
  assert.isAtLeast(yield* Effect.promise(() => generate("refused")), 500)
  return parse(yield* metrics)
})
const stack = L.Standard.layer({
  admission: L.BoundedAdmission.layer({ queueCapacity: 4 }),
  router: L.PipelineRouter.layer({ guards: [L.ContextGuard.make(), L.AliasGuard.make({ other: "tiny-eos" })] }),
}).pipe(
  Layer.provideMerge(Layer.merge(SimulatedTransport.layer, SimulatedOllamaApi.layer)),
  Layer.provideMerge(L.StaticFleet.layer(["http://gpu:11434"])),
  Layer.provideMerge(SimulatedFleet.layer({ "http://gpu:11434": { gpus: ["24 GiB"], overhead: "5 millis" } })),
  Layer.provideMerge(Layer.succeed(Metric.MetricRegistry, new Map())),
  Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "None")),
)

describe("documentation", () => {
  for (const [name, make] of Object.entries(parts)) {
    it.live(`docs/${name}.md repeats the code as it is now`, () =>
      Effect.promise(async () => {
        assert.strictEqual(shown(name), await make(), "write the generated parts again: npm run tables")
      }), 60_000)
  }

  it("says of every public file what it is", () => {
    for (const file of publicFiles()) {
      const folder = file.slice(0, file.indexOf("/"))
      assert.notStrictEqual(headOf(file), "", `src/${file} has no docstring`)
      if (["services", "layers", "plugins"].includes(folder)) {
        assert.include(read(`docs/${folder}.md`), `(../src/${file})`)
      }
      // The list of files above has no headings of this level.
      if (folder === "plugins") assert.include(read("docs/plugins.md"), `\n## ${basename(file, ".ts")}\n`, "no example")
    }
  })

  it("says of every option that may be left out what it is", () => {
    let options = 0
    for (const file of publicFiles()) {
      const interfaces = read(`src/${file}`).matchAll(/^(?:export )?interface \w*Options\b[\s\S]*?^\}/gm)
      for (const [text] of interfaces) {
        const lines = text.split("\n")
        lines.forEach((line, index) => {
          if (!/^ {2}readonly \w+\?:/.test(line)) return
          assert.match(lines[index - 1]!, /\*\/$/, `src/${file}: ${line.trim()}`)
          options++
        })
      }
    }
    assert.isAbove(options, 80)
  })

  it("names every place of the standard stack with what it provides, and every kind of plugin that it takes", () => {
    const standard = read("src/layers/Standard.ts")
    const page = read("docs/swap-a-layer.md")
    const places = Array.from(sources.matchAll(/^ {2}readonly (\w+): \[provides: (\w+),/gm))
    assert.isAbove(places.length, 10)
    for (const [, place, service] of places) assert.include(page, `| \`${place}\` | \`${service}\` |`)
    const [, plugins = ""] = /^export interface Plugins \{\n([\s\S]*?)^\}/m.exec(standard) ?? []
    const kinds = Array.from(plugins.matchAll(/^ {2}readonly (\w+)\?:/gm))
    assert.isAbove(kinds.length, 4)
    for (const [, kind] of kinds) assert.include(page, `\n| \`${kind}\` |`)
  })

  it("names everything that the test kit exports", () => {
    const page = read("docs/testing.md")
    for (const name of Object.keys(Kit)) assert.match(page, new RegExp(`\\b${name}\\b`), name)
    for (const name of Object.keys(Kit.Generators)) assert.match(page, new RegExp(`\\b${name}\\b`), name)
  })

  it("has no link that leads nowhere", () => {
    let links = 0
    for (const document of documents) {
      for (const [, href = ""] of read(document).matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^https?:/.test(href)) continue
        const [path = "", anchor] = href.split("#")
        const target = path === "" ? document : join(dirname(document), path)
        assert.isTrue(existsSync(join(root, target)), `${document}: ${href}`)
        if (anchor !== undefined) assert.include(anchorsOf(read(target)), anchor, `${document}: ${href}`)
        links++
      }
    }
    assert.isAbove(links, 200)
  })

  it("lists all of its pages in docs/index.md", () => {
    const index = read("docs/index.md")
    for (const page of pages) {
      if (page !== "docs/index.md") assert.include(index, `](${basename(page)})`)
    }
  })

  it("has no line of over 160 characters", () => {
    for (const document of documents) {
      read(document).split("\n").forEach((line, index) =>
        assert.isAtMost(line.length, 160, `${document}:${index + 1}: ${line}`)
      )
    }
  })

  it("says when each error is sent, and with which status", () => {
    assert.isAbove(errors().length, 10)
    for (const { meaning, reason, status } of errors()) {
      assert.notStrictEqual(meaning, "", reason)
      assert.match(status, new RegExp(`^${L.Refusal.refuse(reason, "").status}\\b`), reason)
    }
  })

  it("names every header that is llamero's own", () => {
    const named = new Set(sources.match(/(?<=")x-(?:llamero|request|session|ratelimit)-[a-z-]+[a-z](?=")/gi))
    assert.isAbove(named.size, 8)
    // Of browsers.
    named.delete("x-requested-with")
    const page = read("docs/headers.md").toLowerCase()
    for (const name of named) assert.include(page, `\`${name.toLowerCase()}\``)
  })

  it("names every setting, and only settings that exist", () => {
    const known = Object.values(L.Settings.variables).map(({ name }) => name)
    for (const name of known) assert.include(read("docs/settings.md"), `| \`${name}\` |`)
    for (const document of documents) {
      for (const [name] of read(document).matchAll(/LLAMERO_[A-Z][A-Z_]*/g)) {
        assert.include([...known, ...L.Settings.ofCommands], name, document)
      }
    }
    for (const name of L.Settings.ofCommands) assert.include(read("docs/command.md"), `| \`${name}\` |`)
  })

  it("names every metric that the sources name", () => {
    const named = new Set(sources.match(/"llamero_[a-z_]+[a-z]"/g))
    assert.isAbove(named.size, 25)
    for (const name of named) assert.include(read("docs/metrics.md"), `\n- \`${name.slice(1, -1)}\` (`)
  })

  it.live("names every metric of a router under load, with its type and labels", () =>
    Effect.gen(function* () {
      const page = read("docs/metrics.md").replaceAll("\n  ", " ")
      const seen = yield* scrapeUnderLoad
      assert.isAbove(seen.length, 15)
      for (const { labels, meaning, name, type } of seen) {
        const [, shape = "", says] = new RegExp(`^- \`${name}\` \\((.*?)\\): (.*)$`, "m").exec(page) ?? []
        assert.strictEqual(says, meaning, name)
        assert.strictEqual(shape.split(", ")[0], type, name)
        for (const label of labels) assert.include(shape, `\`${label}\``, name)
      }
    }).pipe(Effect.scoped, Effect.provide(stack)), 60_000)
})

describe("the reference", () => {
  it("has a page for every public file and every guide, and links from it lead to pages", () => {
    const folder = mkdtempSync(join(tmpdir(), "llamero-reference-"))
    try {
      assert.isAbove(build(folder), 500)
      const barrel = read("src/index.ts")
      const pageOf = (file: string): string => {
        const path = file.slice(0, -3)
        return barrel.includes(`"./${file}"`) ? `~/${basename(path)}.html` : `${path}/index.html`
      }
      for (const file of publicFiles().filter((one) => /^(services|layers|plugins)\//.test(one))) {
        const page = readFileSync(join(folder, pageOf(file)), "utf8")
        // Its docstring is there, and the name by which a program imports it.
        assert.match(page, /<div class="markdown"><p>/, file)
        assert.match(page, /from &quot;llamero/, file)
      }
      // The types say what a layer provides and needs.
      const admission = readFileSync(join(folder, "~/BoundedAdmission.html"), "utf8").replaceAll(/<[^>]*>/g, "")
      assert.match(admission, /BoundedAdmission\.layer\([^)]*\): Layer\.Layer&lt;Admission, never, Leases&gt;/)
      for (const guide of ["index.html", ...pages.map((page) => `guides/${basename(page, ".md")}/index.html`)]) {
        const [, main = ""] = /<main[^>]*>([\s\S]*)<\/main>/.exec(readFileSync(join(folder, guide), "utf8")) ?? []
        for (const [, href = ""] of main.matchAll(/href="([^"#]+)[^"]*"/g)) {
          if (/^https?:/.test(href)) continue
          assert.isTrue(existsSync(resolve(folder, dirname(guide), href)), `${guide}: ${href}`)
        }
      }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }, 240_000)
})
