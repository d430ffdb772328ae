/**
 * Builds the reference in `dist-docs/`: `npm run docs`. The tool is `deno doc --html`: it is installed already, and it
 * reads this code offline in seconds. TypeDoc needs a TypeScript compiler in JavaScript, which is not installed here.
 *
 * deno doc wants `@module` in the docstring of a module, and shows a namespace with the docstring of its export. It
 * reads a copy of the sources that has both. The guides of `docs/` become modules of that copy, without exports.
 */
import { execFileSync } from "node:child_process"
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join, posix, resolve } from "node:path"
import process from "node:process"
import { headOf, writeTables } from "./docs/tables.ts"
import { isPublic, publicFiles, root } from "./exports.ts"

const read = (file: string): string => readFileSync(join(root, file), "utf8")
const guides = readdirSync(join(root, "docs")).filter((file) => file.endsWith(".md")).map((file) => file.slice(0, -3))

const docstring = (text: string, tag = ""): string => `/**\n${text.replaceAll(/^/gm, " * ")}\n${tag} */\n`

/** Below `src`: public files that the main barrel leaves out. Each is a module of the reference by itself. */
const alone = publicFiles().filter((file) =>
  /^(services|layers|plugins)/.test(file) && !read("src/index.ts").includes(`"./${file}"`)
)

/** The page of a file of the repository, below the folder of the reference. */
const pageOf = (file: string): string | undefined => {
  const [, guide] = /^docs\/([\w-]+)\.md$/.exec(file) ?? []
  if (guide !== undefined) return `guides/${guide}/index.html`
  const module = file.replace(/^src\/(.*)\.ts$/, "$1")
  if (alone.includes(`${module}.ts`)) return `${module}/index.html`
  if (/^(testing|simulated)\/index$/.test(module)) return `${module}.html`
  return /^(services|layers|plugins)\//.test(module) ? `~/${posix.basename(module)}.html` : undefined
}

/** A guide with links to pages of the reference; a link to any other file becomes plain text. */
const guide = (name: string, up: string): string =>
  read(`docs/${name}.md`).replaceAll(/!?\[([^\]]*)\]\(([\w./-]+)(#[^)]*)?\)/g, (_, text, href: string, anchor = "") => {
    const page = pageOf(posix.normalize(`docs/${href}`))
    return page === undefined ? text : `[${text}](${up}${page}${anchor})`
    // A docstring may not hold its own end.
  }).replaceAll("*/", "*\u2060/").replaceAll(/^<!-- .* -->\n\n?/gm, "")

/** What is below a file's head; the exports of a barrel get the docstring of the file that they export. */
const bodyOf = (file: string): string =>
  read(`src/${file}`).replace(/^\/\*\*[\s\S]*?\*\//, "").replaceAll(
    /^export \* as \w+ from "\.\/(.*)"$/gm,
    (line, of: string) => isPublic(of) ? docstring(headOf(join(dirname(file), of))) + line : line,
  )

/** The modules of the reference: the name that a program imports, the file of the copy, and its text. */
const modules = (): ReadonlyArray<readonly [name: string, file: string, text: string]> => {
  const tag = " * @module\n"
  const of = (name: string, file: string, head = headOf(file)) =>
    [name, `src/${file}`, docstring(head, tag) + bodyOf(file)] as const
  return [
    of(".", "index.ts", guide("index", "./")),
    of("./testing", "testing/index.ts"),
    of("./simulated", "simulated/index.ts"),
    ...alone.map((file) => of(`./${file.slice(0, -3)}`, file)),
    ...guides.map((name) =>
      [`./guides/${name}`, `src/guide-${name}.ts`, docstring(guide(name, "../../"), tag) + "export {}\n"] as const
    ),
  ]
}

/** deno doc imports a module by its name in `exports`, without the name of the package. Our code has no semicolons. */
const withImports = (html: string): string =>
  html.replaceAll(
    /(?<=import [^"\n]* from &quot;)[\w./-]+(?=&quot;;)/g,
    (name) => name === "." ? "llamero" : `llamero/${name}`,
  )

/** Builds the reference in a folder, which is emptied first; gives the number of its pages. */
export const build = (out: string): number => {
  const copy = mkdtempSync(join(root, ".docs-"))
  try {
    cpSync(join(root, "src"), join(copy, "src"), { recursive: true })
    cpSync(join(root, "package.json"), join(copy, "package.json"))
    symlinkSync(join(root, "node_modules"), join(copy, "node_modules"))
    for (const [, file, text] of modules()) writeFileSync(join(copy, file), text)
    const exports = Object.fromEntries(modules().map(([name, file]) => [name, `./${file}`]))
    writeFileSync(join(copy, "deno.json"), JSON.stringify({ name: "@llamero/llamero", version: "0.0.0", exports }))
    rmSync(out, { recursive: true, force: true })
    const options = ["doc", "--quiet", "--html", "--name=llamero", `--output=${out}`]
    execFileSync(join(root, "node_modules/.bin/deno"), [...options, ...Object.values(exports)], {
      cwd: copy,
      stdio: ["ignore", "ignore", "inherit"],
    })
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
  const pages = readdirSync(out, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".html"))
  for (const page of pages) {
    const html = withImports(readFileSync(join(out, page), "utf8"))
    // A guide is not a module that a program imports.
    writeFileSync(join(out, page), page.startsWith("guides/") ? html.replace('class="usageContent"', "hidden") : html)
  }
  return pages.length
}

if (import.meta.main) {
  await writeTables()
  const out = resolve(process.argv[2] ?? join(root, "dist-docs"))
  console.log(`${build(out)} pages in ${out}; open ${join(out, "index.html")}`)
  process.exit(0)
}
