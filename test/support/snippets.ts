/**
 * Compiles every TypeScript block of the documentation, with TypeScript and with Deno, and checks the other blocks:
 * `npm run snippets`.
 */
import { execFileSync } from "node:child_process"
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join, relative } from "node:path"
import process from "node:process"
import { blocksOf, fault } from "./blocks.ts"

const root = join(import.meta.dirname, "../..")
// Inside the package, so that `import … from "llamero"` means the package itself.
const folder = join(root, ".snippets")

const documents = [
  "README.md",
  "bench/README.md",
  ...readdirSync(root, { recursive: true, encoding: "utf8" }).filter((file) =>
    file.startsWith("docs/") && file.endsWith(".md")
  ),
]

rmSync(folder, { recursive: true, force: true })
mkdirSync(folder)
const scripts = Object.keys(JSON.parse(readFileSync(join(root, "package.json"), "utf8")).scripts)
let count = 0
for (const document of documents) {
  for (const block of blocksOf(readFileSync(join(root, document), "utf8"))) {
    const wrong = fault(block, root, scripts)
    if (wrong !== undefined) {
      console.error(`${document}:${block.line}: ${wrong}`)
      process.exit(1)
    }
    count++
    if (block.language !== "ts") continue
    const file = `${document.replaceAll(/[^a-zA-Z0-9]/g, "-")}-line-${block.line}.ts`
    writeFileSync(join(folder, file), `${block.text}\nexport {}\n`)
  }
}
writeFileSync(
  join(folder, "tsconfig.json"),
  JSON.stringify({ extends: "../tsconfig.json", include: ["*.ts"], exclude: [] }),
)
const bin = (name: string): string => join(root, "node_modules/.bin", name)
try {
  execFileSync(bin("tsc"), ["-p", join(folder, "tsconfig.json")], { stdio: "inherit" })
  execFileSync(bin("deno"), ["check", "--quiet", folder], { cwd: root, stdio: "inherit" })
} catch {
  console.error(`a snippet does not compile; it is in ${relative(root, folder)}/, named by document and line`)
  process.exit(1)
}
rmSync(folder, { recursive: true })
console.log(`${count} blocks of code are right, for Node and for Deno`)
