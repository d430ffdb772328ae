/** Puts the documentation together as a static site: no network, no script but the search. */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join, posix } from "node:path"
import { escape, render, slug, type Surroundings } from "./markdown.ts"
import { readMetrics } from "./metrics.ts"
import { type Folder, folders, type Module, readModules, root } from "./modules.ts"
import { first, generated, modulePage, tags } from "./pages.ts"

interface Page {
  /** Below the site's folder. */
  readonly url: string
  readonly title: string
  readonly kind: string
  /** In Markdown, with links as in `docs/`. */
  readonly text: string
}

interface Entry {
  readonly title: string
  readonly url: string
  readonly kind: string
  readonly text: string
}

const kindOf: Readonly<Record<Folder, string>> = { services: "service", layers: "layer", plugins: "plugin" }

/** The prose, in the order in which one might read it; whatever is not named here comes after. */
const order = [
  "index",
  "request",
  "swap-a-layer",
  "write-a-plugin",
  "testing",
  "migration",
  "settings",
  "headers",
  "errors",
  "failures",
  "metrics",
]
const placeOf = (name: string): number => (order.indexOf(name) + order.length + 1) % (order.length + 1)

const prosePages = (tables: Readonly<Record<string, string>>): ReadonlyArray<Page> =>
  readdirSync(join(root, "docs")).filter((file) => file.endsWith(".md")).map((file) => file.slice(0, -3))
    .sort((a, b) => placeOf(a) - placeOf(b) || (a < b ? -1 : 1))
    .map((name) => {
      const text = readFileSync(join(root, "docs", `${name}.md`), "utf8").replaceAll(
        /^<!-- generated: (\w+) -->$/gm,
        (_, wanted: string) => {
          const made = tables[wanted]
          if (made === undefined) throw new Error(`docs/${name}.md asks for a table that nobody makes: ${wanted}`)
          return made
        },
      )
      return { url: `${name}.html`, title: /^# (.*)$/m.exec(text)?.[1] ?? name, kind: "guide", text }
    })

const examplePages = (): ReadonlyArray<Page> =>
  readdirSync(join(root, "examples")).filter((file) => file.endsWith(".ts")).sort().map((file) => {
    const source = readFileSync(join(root, "examples", file), "utf8")
    const [, says = ""] = /^\/\*\*([\s\S]*?)\*\//.exec(source) ?? []
    const said = says.replaceAll(/\n \* ?/g, "\n").trim()
    return {
      url: `examples/${file.slice(0, -3)}.html`,
      title: file,
      kind: "example",
      text: `# ${file}\n\n${said}\n\n\`\`\`ts\n${source.slice(source.indexOf("*/") + 2).trim()}\n\`\`\``,
    }
  })

/** The examples of plugins, which are sections of one document so that they compile with it. */
const exampleOf = (prose: ReadonlyArray<Page>): (name: string) => string => {
  const sections = (prose.find(({ url }) => url === "plugins.html")?.text ?? "").split(/^## /m).slice(1)
  const known = new Map(sections.map((section) => {
    const end = section.indexOf("\n")
    return [section.slice(0, end).trim(), section.slice(end).trim()]
  }))
  return (name) => known.get(name) ?? ""
}

const withoutMarkup = (text: string): string => text.replaceAll(/[`*#|]|\]\([^)]*\)|\[/g, " ").replaceAll(/\s+/g, " ")

const headings = ({ kind, text, title, url }: Page): ReadonlyArray<Entry> =>
  kind !== "guide" ? [] : text.split(/^## /m).slice(1).map((section) => {
    const heading = section.slice(0, section.indexOf("\n"))
    return {
      title: withoutMarkup(heading).trim(),
      url: `${url}#${slug(heading)}`,
      kind: title,
      text: withoutMarkup(section),
    }
  })

const indexOf = (pages: ReadonlyArray<Page>, modules: ReadonlyArray<Module>): ReadonlyArray<Entry> => [
  ...pages.map(({ kind, text, title, url }) => ({ title, url, kind, text: withoutMarkup(text).slice(0, 2000) })),
  ...pages.flatMap(headings),
  ...modules.flatMap(({ declared, folder, name }) =>
    declared.filter(({ isExported }) => isExported).map((one) => ({
      title: one.name === "layer" || one.name === "make" ? `${name}.${one.name}` : one.name,
      url: `${folder}/${name}.html#${one.name}`,
      kind: `${name}: ${one.category}`,
      text: first(one.doc),
    }))
  ),
]

const navigation = (pages: ReadonlyArray<Page>, current: Page, base: string): string =>
  ["guide", "service", "layer", "plugin", "example"].map((kind) => {
    const links = pages.filter((page) => page.kind === kind).map(({ title, url }) =>
      `<li><a href="${base}${url}"${url === current.url ? ' aria-current="page"' : ""}>${
        escape(title.replaceAll("`", ""))
      }</a></li>`
    )
    const name = `${kind[0]!.toUpperCase()}${kind.slice(1)}s`
    return `<details${kind === current.kind ? " open" : ""}><summary>${name}</summary><ul>${
      links.join("")
    }</ul></details>`
  }).join("\n")

const html = (page: Page, pages: ReadonlyArray<Page>, around: Surroundings): string => {
  const base = posix.relative(posix.dirname(page.url), ".") === "" ? "" : "../"
  return `<!doctype html>
<html lang="en" data-base="${base}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(page.title.replaceAll("`", ""))} - llamero</title>
<link rel="stylesheet" href="${base}style.css">
<body>
<nav>
<a class="name" href="${base}index.html">llamero</a>
<input id="search" type="search" placeholder="Search (/)" aria-label="Search">
<ul id="found"></ul>
${navigation(pages, page, base)}
</nav>
<main>
<span class="kind">${page.kind}</span>
${render(page.text, around)}
<footer>Made from the sources by <code>npm run docs</code>.</footer>
</main>
<script src="${base}search-index.js"></script>
<script src="${base}search.js"></script>
</body>
</html>
`
}

/** Links of a page; those in documents are written for whoever reads the repository, and lead to pages here. */
const surroundings = (page: Page, pages: ReadonlyArray<Page>, modules: ReadonlyArray<Module>): Surroundings => {
  const urls = new Set(pages.map(({ url }) => url))
  const byTag = tags(modules)
  const byName = new Map(modules.map((module) => [module.name, module]))
  const relative = (url: string): string => posix.relative(posix.dirname(page.url), url)
  return {
    link: (href) => {
      if (/^(https?:|#)/.test(href)) return href
      const [path = "", anchor] = href.split("#")
      const url = path.replace(/^\.\.\/(?:src\/(layers|plugins|services)\/(?:.*\/)?)?/, (_, of) => of ? `${of}/` : "")
        .replace(/\.(md|ts)$/, ".html")
      if (!urls.has(url)) throw new Error(`${page.url}: the link ${href} leads to no page`)
      return relative(url) + (anchor === undefined ? "" : `#${anchor}`)
    },
    named: (code) => {
      const [, name = "", , member] = /^([A-Z]\w+)(\.(\w+))?(\(.*\))?$/.exec(code) ?? []
      const module = byName.get(name) ?? byTag.get(name)
      if (module === undefined) return undefined
      const target = member ?? (module.name === name ? undefined : name)
      const anchor = target !== undefined && module.declared.some((one) => one.isExported && one.name === target)
      const url = `${module.folder}/${module.name}.html`
      return url === page.url && !anchor ? undefined : relative(url) + (anchor ? `#${target}` : "")
    },
    picture: (href) => readFileSync(join(root, "docs", href), "utf8"),
  }
}

/** Builds the site in a folder, which is emptied first; gives how many pages it has. */
export const build = async (folder: string, modules = readModules()): Promise<number> => {
  const prose = prosePages(generated(modules, await readMetrics()))
  const exampleFor = exampleOf(prose)
  const barrel = new Set(
    Array.from(
      readFileSync(join(root, "src/index.ts"), "utf8").matchAll(/^export \* as (\w+)/gm),
      ([, name = ""]) => name,
    ),
  )
  const reference = folders.flatMap((of) =>
    modules.filter((module) => module.folder === of).map((module): Page => ({
      url: `${of}/${module.name}.html`,
      title: module.name,
      kind: kindOf[of],
      text: modulePage(module, modules, barrel, of === "plugins" ? exampleFor(module.name) : ""),
    }))
  )
  const pages = [...prose, ...reference, ...examplePages()]
  rmSync(folder, { recursive: true, force: true })
  for (const page of pages) {
    const file = join(folder, page.url)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, html(page, pages, surroundings(page, pages, modules)))
  }
  for (const file of ["style.css", "search.js"]) copyFileSync(join(import.meta.dirname, file), join(folder, file))
  writeFileSync(
    join(folder, "search-index.js"),
    `globalThis.searchIndex = ${JSON.stringify(indexOf(pages, modules))}\n`,
  )
  return pages.length
}
