/**
 * Knows what the package exports: the barrel `src/index.ts`, and `exports` in deno.json and package.json. A file is
 * public when its name begins with a capital letter. All other files are helpers of their room.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"

export const root = join(import.meta.dirname, "..")
const src = join(root, "src")

/** Folders with public files. The first three are in the main barrel, in this order; the others have their own. */
const folders = ["services", "layers", "plugins", "simulated", "testing"]
const inBarrel = folders.slice(0, 3)

/** Entries of `exports` that are barrels. */
const entries = {
  ".": "./src/index.ts",
  "./testing": "./src/testing/index.ts",
  "./simulated": "./src/simulated/index.ts",
}

/** Modules of Node that Deno, bundlers for browsers and serverless hosts have as well. */
const everywhere = ["node:crypto", "node:zlib"]

/** Whether a file is exported, by its name. */
export const isPublic = (file: string): boolean => /(^|\/)[A-Z]\w*\.ts$/.test(file)

/** Every public file, relative to `src`, sorted by folder and then by name. */
export const publicFiles = (): ReadonlyArray<string> =>
  folders.flatMap((folder) =>
    readdirSync(join(src, folder), { recursive: true, encoding: "utf8" }).filter(isPublic)
      .map((file) => `${folder}/${file}`).sort()
  )

/** What a file imports when it runs: without types, and with `import()`. */
const imports = (file: string): ReadonlyArray<string> =>
  Array.from(
    readFileSync(join(src, file), "utf8").matchAll(
      /^(?:import|export) (?!type\b)[^"'`;]*?from "([^"]+)"|import\("([^"]+)"\)/gm,
    ),
    (match) => match[1] ?? match[2]!,
  )

/** Whether a file is named after Node: then it is for Node alone, even if it imports only Node's types. */
const isForNode = (file: string): boolean => /\/Node\w+\.ts$/.test(file)

/** Whether a file and all that it imports run without Node. */
const runsAnywhere = (file: string, seen = new Set<string>()): boolean => {
  if (seen.has(file)) return true
  seen.add(file)
  return imports(file).every((specifier) =>
    specifier.startsWith(".")
      ? runsAnywhere(relative(src, resolve(dirname(join(src, file)), specifier)), seen)
      : /^effect(\/|$)/.test(specifier) || everywhere.includes(specifier)
  )
}

const nameOf = (file: string): string => file.slice(file.lastIndexOf("/") + 1, -3)

const head = `/**
 * Every contract, layer and plugin that runs anywhere. Made by \`npm run exports\`.
 *
 * **Details**
 *
 * Modules that need Node or Deno are imported by their path, such as \`llamero/layers/server/NodeServer\`. The simulated
 * Ollama is in \`llamero/simulated\`, the test kit in \`llamero/testing\`.
 *
 * @since 0.1.0
 */
`

/** The text of the barrel. */
export const barrel = (): string => {
  const files = publicFiles().filter((file) => inBarrel.includes(file.slice(0, file.indexOf("/"))))
  const names = files.map(nameOf)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new Error(`two public files are called ${twice}`)
  return head + inBarrel.map((folder) =>
    [
      `// ${folder}`,
      ...files.filter((file) => file.startsWith(`${folder}/`) && !isForNode(file) && runsAnywhere(file))
        .sort((a, b) => nameOf(a) < nameOf(b) ? -1 : 1)
        .map((file) => `export * as ${nameOf(file)} from "./${file}"`),
    ].join("\n")
  ).join("\n\n") + "\n"
}

/** The `exports` of deno.json and package.json. */
export const listed = (): Readonly<Record<string, string>> => ({
  ...entries,
  ...Object.fromEntries(publicFiles().map((file) => [`./${file.slice(0, -3)}`, `./src/${file}`])),
})

/** Not for imports: `deno run -A jsr:@llamero/llamero/command` runs it. The package on npm has a `bin` instead. */
const programs = { "./command": "./src/command/main.ts" }

/** Writes the barrel, and the `exports` of both manifests. */
export const writeExports = (): void => {
  writeFileSync(join(src, "index.ts"), barrel())
  for (const name of ["deno.json", "package.json"]) {
    const file = join(root, name)
    const manifest = JSON.parse(readFileSync(file, "utf8"))
    manifest.exports = name === "deno.json" ? { ...programs, ...listed() } : listed()
    writeFileSync(file, JSON.stringify(manifest, undefined, 2) + "\n")
  }
}
