/** The documentation site is whole: every public module and metric is in it, and its links lead somewhere. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric, References } from "effect"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, dirname, join, resolve } from "node:path"
import { escape, render } from "../scripts/docs/markdown.ts"
import { parse } from "../scripts/docs/metrics.ts"
import { publicFiles } from "../scripts/exports.ts"
import { type Module, readModules, root } from "../scripts/docs/modules.ts"
import { errors, layersOf } from "../scripts/docs/pages.ts"
import { build } from "../scripts/docs/site.ts"
import { options, pluginType } from "../scripts/docs/types.ts"
import * as L from "../src/index.ts"
import { SimulatedFleet, SimulatedOllamaApi, SimulatedTransport } from "../src/simulated/index.ts"
import * as Kit from "../src/testing/index.ts"

const sourcesOf = (folder: string): string =>
  readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts")).map((file) =>
    readFileSync(join(folder, file), "utf8")
  ).join("\n")

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
  const folder = mkdtempSync(join(tmpdir(), "llamero-site-"))
  const page = (url: string): string => readFileSync(join(folder, url), "utf8")
  let modules: ReadonlyArray<Module> = []
  beforeAll(async () => {
    modules = readModules()
    await build(folder, modules)
  }, 240_000)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it("has a page for every service, layer and plugin, and names them all in its lists", () => {
    for (const kind of ["services", "layers", "plugins"]) {
      const list = page(`${kind}.html`)
      for (
        const name of publicFiles().filter((file) => file.startsWith(`${kind}/`)).map((file) => basename(file, ".ts"))
      ) {
        assert.include(page(`${kind}/${name}.html`), `<h1 id="${name.toLowerCase()}">${name}</h1>`)
        const isListed = kind !== "layers" || layersOf(modules).some(({ module }) => module.name === name)
        if (isListed) assert.include(list, `href="${kind}/${name}.html`, name)
      }
    }
  })

  it("says of every public module and value what it is", () => {
    for (const { declared, doc, file, folder: kind, name } of modules) {
      assert.notStrictEqual(doc, "", `${kind}/${name} has no docstring`)
      if (kind === "plugins") {
        const make = declared.find((one) => one.name === "make")
        assert.isAbove(pluginType({ folder: kind, file, name, doc, declared }).kinds.length, 0, name)
        assert.match(page(`plugins/${name}.html`), /<h2 id="example">/, `docs/plugins.md has no example of ${name}`)
        // What may be left out says what it is then.
        for (
          const option of [make, declared.find((one) => one.name === "Options")].flatMap((one) =>
            one ? options(one) : []
          )
        ) {
          if (option.isOptional) assert.notStrictEqual(option.doc, "", `${name}: ${option.name}`)
        }
      }
    }
  })

  it("says of every layer what it gives and needs", () => {
    const layers = layersOf(modules)
    const admission = layers.find(({ module }) => module.name === "BoundedAdmission")
    assert.deepStrictEqual(admission?.type, { gives: ["Admission"], errors: [], needs: ["Leases"] })
    const leases = layers.find(({ module }) => module.name === "MemoryLeases")
    assert.sameMembers([...leases?.type.needs ?? []], [
      "Fleet",
      "BackendHealth",
      "Breaker",
      "Residency",
      "ModelCatalog",
    ])
    for (const { declared, module } of layers) {
      assert.include(page("layers.html"), `${module.name}.${declared.name}`)
    }
    for (const name of ["BoundedAdmission", "QueuelessAdmission"]) {
      assert.include(page("services/Admission.html"), `../layers/${name}.html`)
    }
  })

  it("has everything that the test kit exports", () => {
    const shown = page("testing.html")
    for (const name of Object.keys(Kit)) assert.match(shown, new RegExp(`\\b${name}\\b`), name)
    for (const name of Object.keys(Kit.Generators)) assert.match(shown, new RegExp(name), name)
  })

  it("has no link that leads nowhere", () => {
    let links = 0
    for (
      const file of readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".html"))
    ) {
      for (const [, href = ""] of page(file).matchAll(/(?:href|src)="([^"]+)"/g)) {
        if (/^https?:/.test(href)) continue
        const [path = "", anchor] = href.split("#")
        const target = path === "" ? join(folder, file) : resolve(folder, dirname(file), path)
        assert.isTrue(existsSync(target), `${file}: ${href}`)
        if (anchor !== undefined) assert.include(readFileSync(target, "utf8"), `id="${anchor}"`, `${file}: ${href}`)
        links++
      }
    }
    assert.isAbove(links, 1000)
  })

  it("gives each place of a page a name of its own", () => {
    for (const file of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
      if (!file.endsWith(".html")) continue
      const ids = Array.from(page(file).matchAll(/ id="([^"]+)"/g), ([, id]) => id)
      assert.strictEqual(new Set(ids).size, ids.length, file)
    }
  })

  it("asks nothing of the network", () => {
    for (const file of ["style.css", "search.js"]) assert.notMatch(page(file), /https?:|@import|fetch\(/)
    assert.notMatch(page("index.html"), /<(?:script|link|img)[^>]*https?:/)
  })

  it("has every error with its status, and says when", () => {
    const all = errors(modules)
    assert.isAbove(all.length, 10)
    for (const { meaning, reason } of all) {
      assert.notStrictEqual(meaning, "", reason)
      const row = `<code>${reason}</code></td><td>${L.Refusal.refuse(reason, "").status}</td>`
      assert.include(page("errors.html"), row)
    }
  })

  it("has every setting", () => {
    for (const { name } of Object.values(L.Settings.variables)) {
      assert.include(page("settings.html"), `<code>${name}</code>`)
    }
  })

  it("has every header that is llamero's own", () => {
    const named = new Set(sourcesOf(join(root, "src")).match(/(?<=")x-(?:llamero|request|session)-[a-z-]+[a-z](?=")/gi))
    assert.isAbove(named.size, 8)
    named.delete("x-requested-with")
    for (const name of named) assert.include(page("headers.html").toLowerCase(), `<code>${name.toLowerCase()}</code>`)
  })

  it("names only settings that exist", () => {
    const known = new Set(Object.values(L.Settings.variables).map(({ name }) => name))
    for (const file of readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md"))) {
      for (const [name] of readFileSync(join(root, "docs", file), "utf8").matchAll(/LLAMERO_[A-Z][A-Z_]*/g)) {
        assert.isTrue(known.has(name), `docs/${file}: ${name}`)
      }
    }
  })

  it("has every metric that the sources name", () => {
    const named = new Set(sourcesOf(join(root, "src")).match(/"llamero_[a-z_]+[a-z]"/g))
    assert.isAbove(named.size, 25)
    for (const name of named) assert.include(page("metrics.html"), `<code>${name.slice(1, -1)}</code>`)
  })

  it.live("has every metric of a router under load, with its type and labels", () =>
    Effect.gen(function* () {
      const text = page("metrics.html")
      const seen = yield* scrapeUnderLoad
      assert.isAbove(seen.length, 15)
      for (const { labels, meaning, name, type } of seen) {
        const [, row] = new RegExp(`<td><code>${name}</code></td>(.*)</tr>`).exec(text) ?? []
        assert.isDefined(row, `${name} is not in the table`)
        assert.include(row!, `<td>${type}</td>`)
        assert.include(row!, escape(meaning))
        for (const label of labels) assert.include(row!, `<code>${label}</code>`, name)
      }
    }).pipe(Effect.scoped, Effect.provide(stack)), 60_000)

  it("can be searched", () => {
    const [, list = ""] = /^globalThis\.searchIndex = (.*)$/m.exec(page("search-index.js")) ?? []
    const index: ReadonlyArray<{ readonly title: string; readonly url: string }> = JSON.parse(list)
    assert.isAbove(index.length, 300)
    for (const title of ["ContextGuard", "BoundedAdmission.layer", "Write a plugin", "RefusalReason"]) {
      const found = index.find((entry) => entry.title === title)
      assert.isDefined(found, title)
      const [url = "", anchor] = found!.url.split("#")
      assert.include(page(url), anchor === undefined ? "<h1" : ` id="${anchor}"`, found!.url)
    }
  })
})

describe("Markdown", () => {
  const around = { link: (href: string) => href, named: () => undefined, picture: () => "<svg/>" }

  it("becomes HTML, and what is code stays as it is", () => {
    assert.strictEqual(render("# A & `b|c`", around), '<h1 id="a--bc">A &amp; <code>b|c</code></h1>')
    assert.strictEqual(
      render("| a | b |\n| --- | --- |\n| `x \\| y` | [z](u.md) |", around).replaceAll(/<\/?div[^>]*>/g, ""),
      '<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td><code>x | y</code></td><td><a href="u.md">z</a></td></tr></tbody></table>',
    )
    assert.strictEqual(render("- a\n  b\n- **c**", around), "<ul><li>a\nb</li>\n<li><strong>c</strong></li></ul>")
    assert.strictEqual(render("```sh\n<x> # *y*\n```", around), "<pre><code>&lt;x&gt; # *y*</code></pre>")
    assert.strictEqual(render("5 * 3 * 2 and *so*", around), "<p>5 * 3 * 2 and <em>so</em></p>")
  })
})
