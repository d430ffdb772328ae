/**
 * Builds the package in `dist/` and packs it: `npm run pack`. Node refuses TypeScript inside node_modules, so the
 * package has JavaScript and declarations, and a package.json of its own. Inside this repository, `llamero` means the
 * sources.
 */
import { execFileSync } from "node:child_process"
import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { listed } from "./exports.ts"
import { type Manifest, published, texts, withLinks } from "./published.ts"
import { minify, removeDeclarations } from "./smaller.ts"

const root = join(import.meta.dirname, "..")
const dist = join(root, "dist")

/** The package.json of the repository. */
export const manifest = (): Manifest => JSON.parse(readFileSync(join(root, "package.json"), "utf8"))

const compile = (): void => {
  execFileSync(join(root, "node_modules/.bin/tsc"), ["-p", "tsconfig.build.json"], { cwd: root, stdio: "inherit" })
  minify(dist)
  removeDeclarations(dist, Object.values(listed()).map((source) => source.replace("./src/", "").replace(/ts$/, "d.ts")))
}

const describe = (): void => {
  const own = manifest()
  writeFileSync(join(dist, "package.json"), JSON.stringify(published(own, listed()), undefined, 2) + "\n")
  for (const file of texts) writeFileSync(join(dist, file), withLinks(readFileSync(join(root, file), "utf8"), own))
  copyFileSync(join(root, "llamero.schema.json"), join(dist, "llamero.schema.json"))
}

/** A packed tarball. */
export interface Packed {
  readonly tarball: string
  /** Its size in bytes. */
  readonly size: number
  /** The paths in it. */
  readonly files: ReadonlyArray<string>
}

/** Builds and packs. What else belongs into the package is written into `dist` before it is packed. */
export const pack = (): Packed => {
  rmSync(dist, { recursive: true, force: true })
  compile()
  describe()
  execFileSync(process.execPath, [join(root, "scripts/build.ts"), join(dist, "bundle")], { stdio: "inherit" })
  const told = execFileSync("npm", ["pack", "--json", "--pack-destination", dist], { cwd: dist, encoding: "utf8" })
  const [{ filename, files, size }] = JSON.parse(told)
  return { tarball: join(dist, filename), size, files: files.map(({ path }: { readonly path: string }) => path) }
}

if (import.meta.main) {
  const { size, tarball } = pack()
  console.log(`${tarball}: ${(size / 1024).toFixed(0)} KiB`)
}
