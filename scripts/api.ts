/**
 * Writes what the package exports: `npm run exports`. Run it after a public file was added, removed or moved, and after
 * a public name was. It writes the barrel, `exports` in deno.json and package.json, and `exports.txt`: the names of
 * each public module, which semantic versioning counts. `test/package.test.ts` fails when that list is out of date, so
 * each change to it is seen in review.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { listed, root, writeExports } from "./exports.ts"

/** One name, with all that it is: a class is also a type, a constant may have a type of the same name. */
interface Exported {
  readonly kind: "class" | "const" | "function" | "interface" | "namespace" | "type"
  readonly name: string
  /** The module that a namespace stands for. */
  readonly of?: string | undefined
}

/** A declaration, a namespace, or a list of names, with or without a module that they come from. */
const statement =
  /^export (?:(?:abstract )?(?:async )?(class|const|function|interface|type)\*? (\w+)|\* as (\w+) from "([^"]+)"|(?:type )?\{([^}]*)\}(?: from "([^"]+)")?)/gm
const declaration = /^(?:abstract )?(?:async )?(class|const|function|interface|type)\*? (\w+)/gm

const target = (file: string, specifier: string): string => join(dirname(file), specifier)

/** The kinds of a name that a file exports after it has declared or imported it. */
const known = (file: string, text: string, name: string): ReadonlyArray<Exported["kind"]> => {
  const own = Array.from(text.matchAll(declaration)).filter(([, , found]) => found === name)
  if (own.length > 0) return own.map(([, kind]) => kind as Exported["kind"])
  const [, from] = new RegExp(`^import [^"]*\\b${name}\\b[^"]* from "([^"]+)"`, "m").exec(text) ?? []
  return from === undefined ? [] : kindsOf(target(file, from), name)
}

const kindsOf = (file: string, name: string): ReadonlyArray<Exported["kind"]> =>
  exportsOf(file).flatMap((other) => other.name === name ? [other.kind] : [])

/** What a file exports. */
export const exportsOf = (file: string): ReadonlyArray<Exported> => {
  const text = readFileSync(join(root, file), "utf8")
  return Array.from(text.matchAll(statement)).flatMap(
    ([all, kind, name, namespace, of, list, from]): Array<Exported> => {
      if (name !== undefined) return [{ kind: kind as Exported["kind"], name }]
      if (namespace !== undefined) return [{ kind: "namespace", name: namespace, of: target(file, of!) }]
      return list!.split(",").map((one) => one.trim()).filter((one) => one !== "").flatMap((one) => {
        const [own = "", as = own] = one.replace(/^type /, "").split(" as ")
        const typeOnly = one.startsWith("type ") || all.startsWith("export type")
        const kinds = from === undefined ? known(file, text, own) : kindsOf(target(file, from), own)
        if (kinds.length === 0) throw new Error(`${file} exports ${own}, which is declared nowhere`)
        return kinds.filter((kind) => !typeOnly || kind !== "const").map((kind) => ({ kind, name: as }))
      })
    },
  )
}

const byName = (a: Exported, b: Exported): number =>
  a.name < b.name ? -1 : a.name > b.name ? 1 : a.kind < b.kind ? -1 : 1

/** The lines of a file: a namespace that is no module of its own has its names below it. */
const lines = (file: string, modules: ReadonlyMap<string, string>, indent: string): ReadonlyArray<string> =>
  [...exportsOf(file)].sort(byName).flatMap(({ kind, name, of }) => {
    if (of === undefined) return [`${indent}${kind} ${name}`]
    const module = modules.get(of)
    return module === undefined
      ? [`${indent}${kind} ${name}`, ...lines(of, modules, `${indent}  `)]
      : [`${indent}${kind} ${name} = ${module}`]
  })

/** The list. */
export const list = (): string => {
  const modules = new Map(
    Object.entries(listed()).map(([name, file]) => [join(file), join("llamero", name)] as const),
  )
  return Array.from(modules, ([file, module]) => [module, ...lines(file, modules, "  "), ""].join("\n")).join("\n")
}

/** Where the list is. */
export const listFile: string = join(root, "exports.txt")

if (import.meta.main) {
  writeExports()
  writeFileSync(listFile, list())
}
