/** Builds the documentation, a static site in `dist-docs/`: `npm run docs`. */
import { join } from "node:path"
import process from "node:process"
import { root } from "./docs/modules.ts"
import { build } from "./docs/site.ts"

const folder = process.argv[2] ?? join(root, "dist-docs")
console.log(`${await build(folder)} pages in ${folder}; open ${join(folder, "index.html")}`)
