/** Writes into deno.json what package.json exports by pattern, which JSR cannot: `npm run exports`, after a file has come or gone. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dirname, "..")
const file = join(root, "deno.json")
const manifest = JSON.parse(readFileSync(file, "utf8"))
const listed = ["services", "layers", "plugins"].flatMap((folder) =>
  readdirSync(join(root, "src", folder)).filter((name) => name.endsWith(".ts")).sort()
    .map((name) => [`./${folder}/${name.slice(0, -3)}`, `./src/${folder}/${name}`] as const)
)
/** And the entries that are no single file of these. */
const entries = { ".": "./src/index.ts", "./testing": "./src/testing/index.ts" }
manifest.exports = { ...entries, ...Object.fromEntries(listed) }
writeFileSync(file, JSON.stringify(manifest, undefined, 2) + "\n")
