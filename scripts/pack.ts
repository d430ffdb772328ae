/**
 * Builds the package in `dist/` and packs it: `npm run pack`. Node refuses TypeScript inside node_modules, so the
 * package has JavaScript and declarations, and a package.json of its own. Inside this repository, `llamero` means the
 * sources.
 */
import { execFileSync } from "node:child_process"
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { listed } from "./exports.ts"
import { removeComments } from "./smaller.ts"

const root = join(import.meta.dirname, "..")
const dist = join(root, "dist")

/** The files of the package that are built from a source file. */
const built = (source: string) => {
  const path = source.replace("./src/", "./").slice(0, -3)
  return { types: `${path}.d.ts`, default: `${path}.js` }
}

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>
  readonly [field: string]: unknown
}

/** The package.json of the package, made from that of the repository. */
const published = ({ dependencies, ...own }: Manifest) => {
  const { effect, ...needed } = dependencies
  if (effect === undefined) throw new Error("package.json does not depend on effect")
  const { allowScripts: _1, devDependencies: _2, exports: _3, private: _4, scripts: _5, ...kept } = own
  return {
    ...kept,
    exports: {
      ...Object.fromEntries(Object.entries(listed()).map(([name, source]) => [name, built(source)])),
      "./llamero.schema.json": "./llamero.schema.json",
      "./package.json": "./package.json",
    },
    // The command is a bundle: it starts several times faster than from hundreds of files.
    bin: { llamero: "bundle/llamero.js" },
    // A bundler may leave out all other modules that a program does not use.
    sideEffects: ["./support/oldNode.js", "./command/**", "./bundle/**"],
    dependencies: needed,
    // A router and the program around it must share one copy of Effect.
    peerDependencies: { effect },
  }
}

/** Builds and packs; gives the path of the tarball. */
export const pack = (): string => {
  rmSync(dist, { recursive: true, force: true })
  execFileSync(join(root, "node_modules/.bin/tsc"), ["-p", "tsconfig.build.json"], { cwd: root, stdio: "inherit" })
  removeComments(dist)
  const manifest = published(JSON.parse(readFileSync(join(root, "package.json"), "utf8")))
  writeFileSync(join(dist, "package.json"), JSON.stringify(manifest, undefined, 2) + "\n")
  execFileSync(process.execPath, [join(root, "scripts/build.ts"), join(dist, "bundle")], { stdio: "inherit" })
  for (const file of ["README.md", "LICENSE", "CHANGELOG.md", "llamero.schema.json"]) {
    if (existsSync(join(root, file))) copyFileSync(join(root, file), join(dist, file))
  }
  const told = execFileSync("npm", ["pack", "--json", "--pack-destination", dist], { cwd: dist, encoding: "utf8" })
  const [{ filename }] = JSON.parse(told)
  return join(dist, filename)
}

if (import.meta.main) console.log(pack())
