/**
 * Bundles the status page from `page/` into one file that the router serves: `npm run page`. Run it after a change in
 * `page/`. A test says when the file is stale.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { rolldown } from "rolldown"

const root = join(import.meta.dirname, "..")

/** The file that is made. */
export const target = join(root, "src/layers/routes/page/files.ts")

const read = (name: string): string => readFileSync(join(root, "page", name), "utf8")

/** Without comments and the space that means nothing. */
const small = (css: string): string =>
  css.replaceAll(/\/\*[^]*?\*\//g, "").replaceAll(/\s+/g, " ").replaceAll(/ ?([{};,]) ?/g, "$1").trim()

const head = `/**
 * The files of the status page. Made by \`npm run page\` from \`page/\`.
 *
 * @since 0.1.0
 */
`

const constant = (name: string, what: string, text: string): string =>
  `\n/** ${what} @category constants @since 0.1.0 */\nexport const ${name}: string = ${JSON.stringify(text)}\n`

/** The text of the file. */
export const made = async (): Promise<string> => {
  const bundle = await rolldown({ cwd: root, input: "page/main.ts", platform: "browser", logLevel: "silent" })
  const { output: [script] } = await bundle.generate({ format: "esm", minify: true })
  await bundle.close()
  return head +
    constant("html", "The page.", read("index.html")) +
    constant("off", "The page where no token is set.", read("off.html")) +
    constant("css", "Its styles.", small(read("page.css"))) +
    constant("script", "Its program.", script.code)
}

if (import.meta.main) writeFileSync(target, await made())
