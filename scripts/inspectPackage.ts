/**
 * Looks at a packed tarball: what is in it, what publint and "are the types wrong" say of it, and what it installs.
 */
import { execFileSync, spawnSync } from "node:child_process"
import { join } from "node:path"
import type { Packed } from "./pack.ts"

const root = join(import.meta.dirname, "..")
const bin = (name: string) => join(root, "node_modules/.bin", name)

/** The largest tarball, in bytes. */
const sizeMax = 1024 * 1024

/** Throws unless it holds, and prints it. */
export const check = (holds: boolean, what: string): void => {
  if (!holds) throw new Error(`not so: ${what}`)
  console.log(`ok: ${what}`)
}

/** Runs a tool that prints what it finds, and prints that only where it finds something. */
const clean = (name: string, ...options: ReadonlyArray<string>): void => {
  const { status, stderr, stdout } = spawnSync(bin(name), options, { encoding: "utf8" })
  if (status !== 0) console.log(`${stdout}${stderr}`)
  check(status === 0, `${name} finds nothing`)
}

/** What is in the tarball, and what the tools say of it. */
export const inspect = ({ files, size, tarball }: Packed): void => {
  check(size <= sizeMax, `the tarball has ${(size / 1024).toFixed(0)} KiB, at most ${sizeMax / 1024} KiB are allowed`)
  for (const file of ["package.json", "README.md", "LICENSE", "CHANGELOG.md"]) {
    check(files.includes(file), `has ${file}`)
  }
  const strays = files.filter((file) => !/\.(js|d\.ts|json|md)$|^LICENSE$/.test(file))
  check(strays.length === 0, `has code, declarations and texts only, not ${strays.join() || "other files"}`)
  clean("publint", "run", tarball, "--strict")
  // The package is for `import`. `require` reads it in Node 22 and later, too, which the tool does not know.
  clean("attw", tarball, "--profile", "esm-only", "--no-definitely-typed", "--format", "ascii")
}

interface Tree {
  readonly dependencies?: Readonly<Record<string, Tree>>
}

const namesIn = ({ dependencies = {} }: Tree): ReadonlyArray<string> =>
  Object.entries(dependencies).flatMap(([name, inner]) => [name, ...namesIn(inner)])

const installed = (folder: string, ...options: ReadonlyArray<string>): ReadonlySet<string> => {
  const told = execFileSync("npm", ["ls", "--all", "--json", ...options], { cwd: folder, encoding: "utf8" })
  return new Set(namesIn(JSON.parse(told)))
}

/** Checks that a project with nothing but the package has no more packages than the repository without `dev`. */
export const installsNoMore = (project: string): void => {
  const needed = installed(root, "--omit=dev")
  const there = [...installed(project)].filter((name) => name !== "llamero")
  const more = there.filter((name) => !needed.has(name))
  check(there.length > 1, `installs ${there.length} packages`)
  check(
    more.length === 0,
    `installs nothing that the repository needs only for development, not ${more.join() || "one"}`,
  )
}
