/** Compiles every TypeScript block of the documentation, with TypeScript and with Deno: `npm run snippets`. */
import { execFileSync } from "node:child_process"
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join, relative } from "node:path"
import process from "node:process"

const root = join(import.meta.dirname, "../..")
// Inside the package, so that `import … from "llamero"` is the package itself.
const folder = join(root, ".snippets")

const documents = [
  "README.md",
  ...readdirSync(root, { recursive: true, encoding: "utf8" }).filter((file) =>
    file.startsWith("docs/") && file.endsWith(".md")
  ),
]

rmSync(folder, { recursive: true, force: true })
mkdirSync(folder)
let count = 0
for (const document of documents) {
  const text = readFileSync(join(root, document), "utf8")
  for (const match of text.matchAll(/^```ts\n([\s\S]*?)^```/gm)) {
    const line = text.slice(0, match.index).split("\n").length
    writeFileSync(
      join(folder, `${document.replaceAll(/[^a-zA-Z0-9]/g, "-")}-line-${line}.ts`),
      `${match[1]}\nexport {}\n`,
    )
    count++
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
console.log(`${count} snippets compile, for Node and for Deno`)
